#include "lossy_relay.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace mvinr::testutil {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(uint16_t(port));
  return address;
}

}  // namespace

LossyRelay::LossyRelay(int to, double loss, uint32_t seed) : loss_(loss), random_(seed) {
  outside_ = socket(AF_INET, SOCK_DGRAM, 0);
  inside_ = socket(AF_INET, SOCK_DGRAM, 0);
  const int bytes = 4 << 20;  // only the losses that are asked for
  for (const int fd : {outside_, inside_})
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  bind(outside_, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(outside_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  const sockaddr_in target = loopback(to);
  connect(inside_, reinterpret_cast<const sockaddr*>(&target), sizeof target);
  thread_ = std::thread([this] { run(); });
}

LossyRelay::~LossyRelay() {
  stop_ = true;
  thread_.join();
  close(outside_);
  close(inside_);
}

bool LossyRelay::unlucky() {
  const bool lose = double(random_()) < loss_ * 4294967296.0;
  ++(lose ? lost_ : passed_);
  return lose;
}

void LossyRelay::run() {
  std::array<char, 65536> data;
  sockaddr_in peer{};
  while (!stop_) {
    pollfd fds[] = {{outside_, POLLIN, 0}, {inside_, POLLIN, 0}};
    if (poll(fds, 2, 50) <= 0) continue;
    if (fds[0].revents & POLLIN) {
      socklen_t size = sizeof peer;
      const ssize_t n = recvfrom(outside_, data.data(), data.size(), 0,
                                 reinterpret_cast<sockaddr*>(&peer), &size);
      if (n > 0 && !unlucky()) send(inside_, data.data(), size_t(n), 0);
    }
    if (fds[1].revents & (POLLIN | POLLERR)) {
      const ssize_t n = recv(inside_, data.data(), data.size(), 0);
      if (n > 0 && peer.sin_port != 0 && !unlucky())
        sendto(outside_, data.data(), size_t(n), 0, reinterpret_cast<sockaddr*>(&peer),
               sizeof peer);
    }
  }
}

}  // namespace mvinr::testutil
