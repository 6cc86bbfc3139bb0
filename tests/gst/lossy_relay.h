// A network that loses datagrams, for transports that are no element's business (SRT).
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <random>
#include <thread>

namespace mvinr::testutil {

/// Passes datagrams on between whoever writes to port() of 127.0.0.1 and `to`, in both directions,
/// and loses some: always the same ones for the same seed and traffic.
class LossyRelay {
 public:
  LossyRelay(int to, double loss, uint32_t seed);
  ~LossyRelay();

  int port() const { return port_; }
  size_t lost() const { return lost_; }
  size_t passed() const { return passed_; }

 private:
  void run();
  bool unlucky();

  int outside_ = -1, inside_ = -1, port_ = 0;  // sockets; inside_ is connected to `to`
  double loss_;
  std::mt19937 random_;
  std::atomic<bool> stop_ = false;
  std::atomic<size_t> lost_ = 0, passed_ = 0;
  std::thread thread_;
};

}  // namespace mvinr::testutil
