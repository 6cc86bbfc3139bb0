// A folder through which processes, on one machine or on many, share the parts of a job without
// talking to each other.
//
//   plan                what is done, so that nobody mixes two jobs in one folder
//   part-000012.lock    locked (fcntl) by the process that works on part 12; the system drops the
//                       lock when the process or its machine ends, and then anybody may take it
//   part-000012         the finished part; part-000012.info what else is to be known of it
//   joined              the parts have been joined; their files are gone
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace mvinr::tools {

/// This process's number among those of mpirun or srun and their count, from the environment of
/// Open MPI, PMI, PMIx or Slurm; -1 and 0 if it is alone.
int parallel_job_rank();
int parallel_job_size();

class WorkShare {
 public:
  /// Makes the folder if it is not there. Throws ToolError if it belongs to another job (`plan`
  /// differs), cannot be written or knows no locks.
  WorkShare(const std::string& folder, const std::string& plan, int parts);
  ~WorkShare();
  WorkShare(const WorkShare&) = delete;
  WorkShare& operator=(const WorkShare&) = delete;

  /// A part that is neither finished nor anybody's: it is this process's until finish(). Waits
  /// while others work on the last parts, because they may die. nullopt: all are finished, or stop.
  std::optional<int> claim(std::stop_token stop);
  void finish(int part, std::span<const std::byte> bytes, const std::string& info);

  /// True for the process that is to join the parts; the others wait until that is done (or, if
  /// the joining process dies, until it is their turn) and get false, as they do after a stop.
  bool begin_join(std::stop_token stop);
  std::vector<std::byte> bytes(int part) const;
  std::string info(int part) const;
  /// Removes the parts.
  void end_join();
  bool joined() const;

 private:
  class Lock;
  std::string name(int part) const;
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  void write(const std::string& name, std::span<const std::byte> bytes) const;

  std::filesystem::path folder_;
  const int parts_;
  std::unique_ptr<Lock> part_, join_;
};

/// Starts `count` copies of this process before it has any threads; each gets its number, the
/// caller -1 once all of them have ended. SIGINT and SIGTERM are passed on to them. `exit_code`:
/// the worst of theirs, or 0 if one of them reports success for all.
int fork_workers(int count, int& exit_code);

}  // namespace mvinr::tools
