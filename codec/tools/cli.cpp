#include "tools/cli.h"

#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <cstdarg>
#include <exception>
#include <new>
#include <thread>

namespace mvinr::tools {

void fail(const std::string& message) { throw ToolError{kExitFailure, message}; }
void fail_usage(const std::string& message) {
  throw ToolError{kExitUsage, message + "; --help shows the options"};
}

int run_tool(const char* program, int (*body)(int, char**), int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error with a message
  try {
    return body(argc, argv);
  } catch (const ToolError& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.message.c_str());
    return error.exit_code;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "%s: out of memory\n", program);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
  }
  return kExitFailure;
}

void stop_on_signals(std::stop_source* source) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // threads started later inherit this
  std::thread([signals, source] {
    int signal_number = 0;
    sigwait(&signals, &signal_number);
    source->request_stop();
    sigwait(&signals, &signal_number);
    _exit(kExitCancelled);
  }).detach();
}

std::string format(const char* text, ...) {
  char buffer[1024];
  va_list arguments;
  va_start(arguments, text);
  std::vsnprintf(buffer, sizeof buffer, text, arguments);
  va_end(arguments);
  return buffer;
}

std::string human_bytes(double bytes) {
  if (bytes < 1000) return format("%.0f B", bytes);
  if (bytes < 1e6) return format("%.1f kB", bytes / 1e3);
  return format("%.2f MB", bytes / 1e6);
}

std::string human_seconds(double seconds) {
  const long total = std::isfinite(seconds) && seconds > 0 ? std::lround(seconds) : 0;
  if (total >= 3600) return format("%ld:%02ld:%02ld", total / 3600, total / 60 % 60, total % 60);
  return format("%ld:%02ld", total / 60, total % 60);
}

}  // namespace mvinr::tools
