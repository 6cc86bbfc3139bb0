// What the command-line programs share: exit codes, errors, signals.
#pragma once

#include <stop_token>
#include <string>
#include <utility>

#include "mvinr/types.h"

namespace mvinr::tools {

enum ExitCode {
  kExitOk = 0,
  kExitFailure = 1,  // a file, the encoder or the decoder failed; the message says which and why
  kExitUsage = 2,    // wrong options
  kExitDamaged = 3,  // the stream was damaged in places; everything else was decoded
  kExitCancelled = 130,  // Ctrl-C; what was written is valid
};

/// Ends a program: main() prints "program: message" and returns `exit_code`.
struct ToolError {
  int exit_code = kExitFailure;
  std::string message;
};

[[noreturn]] void fail(const std::string& message);
[[noreturn]] void fail_usage(const std::string& message);

/// The value, or ToolError "context: message (code)".
template <typename T>
T value_or_fail(Result<T> result, const std::string& context) {
  if (!result.has_value())
    throw ToolError{result.error().code == ErrorCode::cancelled ? kExitCancelled : kExitFailure,
                    (context.empty() ? "" : context + ": ") + result.error().message + " (" +
                        to_string(result.error().code) + ")"};
  return std::move(result).value();
}

/// Runs `body(argc, argv)`, prints what it throws to stderr, gives the exit code.
int run_tool(const char* program, int (*body)(int, char**), int argc, char** argv);

/// Requests a stop on the first SIGINT or SIGTERM; the second one ends the process at once.
/// Call it before any thread starts. The source must live until the process ends.
void stop_on_signals(std::stop_source* source);

/// "123.4 kB", "1.25 MB".
std::string human_bytes(double bytes);
/// "0:07", "12:34", "1:02:03".
std::string human_seconds(double seconds);
/// printf to a string.
std::string format(const char* text, ...) __attribute__((format(printf, 1, 2)));

}  // namespace mvinr::tools
