// output.h - standard output as a stream that several threads may use and whose reader may leave.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <ostream>
#include <streambuf>
#include <string>

namespace millrace {

/// Writes to a file descriptor without a buffer of its own: writers collect lines themselves.
///
/// Threads: safe; each write call stays whole.
class Output : private std::streambuf {
 public:
  explicit Output(int descriptor) : descriptor_(descriptor), stream_(this) {}

  std::ostream& stream() { return stream_; }
  /// The reader has closed its end (`| head`), or the disk is full: whatever is written from then
  /// on is dropped.
  bool closed() const { return closed_; }
  /// Why, if it was not the reader's wish: an errno; else 0.
  int failure() const { return failure_; }
  /// Called before each write, and once when nothing can be written any more. Set before threads
  /// start.
  void OnWrite(std::function<void()> call) { on_write_ = std::move(call); }
  void OnClosed(std::function<void()> call) { on_closed_ = std::move(call); }

 private:
  int overflow(int character) override;
  std::streamsize xsputn(const char* text, std::streamsize length) override;

  int descriptor_;
  std::mutex mutex_;
  std::atomic<bool> closed_ = false;
  std::atomic<int> failure_ = 0;
  std::function<void()> on_write_, on_closed_;
  std::ostream stream_;
};

}  // namespace millrace
