#include "app/signals.h"

#include <csignal>
#include <cstdlib>

#include <unistd.h>

namespace millrace {

namespace {

constexpr int kPatience = 3;
constexpr int kStop = SIGUSR1;

sigset_t Handled() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGINT, SIGTERM, SIGHUP, kStop}) sigaddset(&set, number);
  return set;
}

void Listen(const std::function<void(int)>& on_signal, const bool interactive) {
  sigset_t set = Handled();
  int unanswered_terms = 0;
  for (;;) {
    int number = 0;
    if (sigwait(&set, &number) != 0 || number == kStop) return;
    bool counts = !interactive || number != SIGINT;
    if (counts && ++unanswered_terms >= kPatience) _exit(128 + number);
    on_signal(number);
  }
}

}  // namespace

SignalListener::SignalListener(std::function<void(int)> on_signal, bool interactive) {
  signal(SIGPIPE, SIG_IGN);
  sigset_t set = Handled();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread(
      [on_signal = std::move(on_signal), interactive] { Listen(on_signal, interactive); });
}

SignalListener::~SignalListener() {
  pthread_kill(thread_.native_handle(), kStop);
  thread_.join();
}

}  // namespace millrace
