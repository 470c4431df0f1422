// signals.h - SIGINT and SIGTERM as a call in an ordinary thread, where locks may be taken.
#pragma once

#include <functional>
#include <thread>

namespace millrace {

/// Blocks SIGINT and SIGTERM in the calling thread (and those it starts later) and waits for them
/// in a thread of its own; ignores SIGPIPE. Make it before any other thread.
///
/// The third signal ends the process at once: whoever insists is obeyed. In an interactive program
/// SIGINT is an everyday key and does not count.
class SignalListener {
 public:
  /// `on_signal(number)` runs in the listener's thread.
  SignalListener(std::function<void(int)> on_signal, bool interactive);
  ~SignalListener();

 private:
  std::thread thread_;
};

}  // namespace millrace
