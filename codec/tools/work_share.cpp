#include "tools/work_share.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

#include "tools/cli.h"
#include "tools/raw_video.h"

namespace mvinr::tools {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(100);

int number_in_environment(std::initializer_list<const char*> names, int otherwise) {
  for (const char* name : names)
    if (const char* text = std::getenv(name); text != nullptr && *text != 0) return std::atoi(text);
  return otherwise;
}

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path + ": cannot be read: " + std::strerror(errno));
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int parallel_job_rank() {
  return number_in_environment({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"},
                               -1);
}
int parallel_job_size() {
  // Not SLURM_NTASKS: a batch script has it too, before srun.
  return number_in_environment({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}, 0);
}

// A lock on a file, which ends with this object or the process. Locks of fcntl: they also work
// between machines on shared file systems.
class WorkShare::Lock {
 public:
  explicit Lock(const std::string& path)
      : path_(path), file_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (file_ < 0) fail(path + ": cannot be written: " + std::strerror(errno));
  }
  ~Lock() { close(file_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  bool try_lock() {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (fcntl(file_, F_SETLK, &lock) == 0) return true;
    if (errno == EAGAIN || errno == EACCES) return false;
    fail(path_ + ": the file system knows no locks (" + std::strerror(errno) +
         "): take a folder that all processes see and that does");
  }
  bool wait(std::stop_token stop) {
    while (!try_lock()) {
      if (stop.stop_requested()) return false;
      std::this_thread::sleep_for(kPoll);
    }
    return true;
  }
  /// For people who look into the folder.
  void sign() {
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    const std::string owner = std::string(host) + " " + std::to_string(getpid()) + "\n";
    if (ftruncate(file_, 0) == 0 && pwrite(file_, owner.data(), owner.size(), 0) < 0) return;
  }

 private:
  std::string path_;
  int file_;
};

WorkShare::WorkShare(const std::string& folder, const std::string& plan, int parts)
    : folder_(folder), parts_(parts) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) fail(folder + ": cannot be made: " + error.message());
  Lock lock(path("plan.lock"));
  lock.wait({});
  if (!std::filesystem::exists(path("plan"))) write("plan", std::as_bytes(std::span(plan)));
  if (read_all(path("plan")) != plan)
    fail(folder +
         ": holds parts of an encode with other input or options (its file \"plan\" says "
         "which): use these, or name or make an empty folder");
}

WorkShare::~WorkShare() = default;

std::string WorkShare::name(int part) const { return format("part-%06d", part); }

bool WorkShare::joined() const { return std::filesystem::exists(path("joined")); }

std::optional<int> WorkShare::claim(std::stop_token stop) {
  for (;; std::this_thread::sleep_for(kPoll)) {
    bool unfinished = false;
    for (int part = 0; part < parts_ && !joined(); ++part) {
      if (stop.stop_requested()) return std::nullopt;
      const auto done = [&] { return std::filesystem::exists(path(name(part))); };
      if (done()) continue;
      auto lock = std::make_unique<Lock>(path(name(part) + ".lock"));
      if (!lock->try_lock()) {
        unfinished = true;
        continue;
      }
      if (done() || joined()) continue;  // somebody was quicker
      lock->sign();
      part_ = std::move(lock);
      return part;
    }
    if (!unfinished) return std::nullopt;
  }
}

// Under another name first: what has its name is whole.
void WorkShare::write(const std::string& name, std::span<const std::byte> bytes) const {
  const std::string temporary = path(name + ".new");
  {
    OutputFile file(temporary);
    file.write(bytes);
    file.sync();
  }
  std::error_code error;
  std::filesystem::rename(temporary, path(name), error);
  if (error) fail(path(name) + ": cannot be written: " + error.message());
}

void WorkShare::finish(int part, std::span<const std::byte> bytes, const std::string& info) {
  write(name(part) + ".info", std::as_bytes(std::span(info)));
  write(name(part), bytes);
  part_.reset();
}

bool WorkShare::begin_join(std::stop_token stop) {
  join_ = std::make_unique<Lock>(path("join.lock"));
  return join_->wait(stop) && !joined();
}

std::vector<std::byte> WorkShare::bytes(int part) const {
  const std::string text = read_all(path(name(part)));
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string WorkShare::info(int part) const { return read_all(path(name(part) + ".info")); }

void WorkShare::end_join() {
  write("joined", {});
  for (int part = 0; part < parts_; ++part)
    for (const char* ending : {"", ".info", ".lock"}) {
      std::error_code error;  // what cannot be removed is in nobody's way
      std::filesystem::remove(path(name(part) + ending), error);
    }
  join_.reset();
}

int fork_workers(int count, int& exit_code) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&signals, number);
  sigset_t before;
  sigprocmask(SIG_BLOCK, &signals, &before);
  const pid_t parent = getpid();
  std::vector<pid_t> workers;
  for (int i = 0; i < count; ++i) {
    const pid_t worker = fork();
    if (worker == 0) {
      sigprocmask(SIG_SETMASK, &before, nullptr);
      prctl(PR_SET_PDEATHSIG, SIGTERM);  // a worker whose parent was killed ends as after Ctrl-C
      if (getppid() != parent) _exit(kExitCancelled);
      return i;
    }
    if (worker < 0 && i == 0)
      fail(std::string("no process can be started: ") + std::strerror(errno));
    if (worker < 0) break;  // fewer workers do the same work
    workers.push_back(worker);
  }
  bool success = false;
  int worst = 0;
  while (!workers.empty()) {
    int number = 0;
    sigwait(&signals, &number);
    if (number != SIGCHLD)
      for (const pid_t worker : workers) kill(worker, number);
    for (size_t i = 0; i < workers.size();) {
      int status = 0;
      if (waitpid(workers[i], &status, WNOHANG) != workers[i]) {
        ++i;
        continue;
      }
      const int code = WIFEXITED(status) ? WEXITSTATUS(status) : kExitFailure;
      if (WIFSIGNALED(status))
        std::fprintf(stderr, "worker %d was ended by signal %d; the others do its work\n",
                     int(workers[i]), WTERMSIG(status));
      success |= code == kExitOk;
      worst = std::max(worst, code);
      workers.erase(workers.begin() + ptrdiff_t(i));
    }
  }
  exit_code = success ? int(kExitOk) : worst;
  return -1;
}

}  // namespace mvinr::tools
