// Early return of errors.
#pragma once

#include "mvinr/types.h"

/// Returns the error of a Status or Result expression, if there is one.
#define MVINR_TRY(expression)                                                                     \
  do {                                                                                            \
    if (auto mvinr_status = (expression); !mvinr_status.has_value()) return mvinr_status.error(); \
  } while (false)

#define MVINR_JOIN2(a, b) a##b
#define MVINR_JOIN(a, b) MVINR_JOIN2(a, b)

/// MVINR_ASSIGN(auto x, f()): x = the value of f(), or returns its error.
#define MVINR_ASSIGN(target, expression) \
  MVINR_ASSIGN_IMPL(target, expression, MVINR_JOIN(mvinr_result_, __LINE__))
#define MVINR_ASSIGN_IMPL(target, expression, result) \
  auto result = (expression);                         \
  if (!result.has_value()) return result.error();     \
  target = std::move(result).value()
