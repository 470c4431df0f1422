// progress_line.h - one line on the terminal that tells how the running work gets on.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "session/session.h"

namespace millrace {

/// Cells of the terminal behind `descriptor`; 0 when it is none.
size_t TerminalWidth(int descriptor);
size_t TerminalHeight(int descriptor);

/// "job-1: 1,234,567 rows in, 42 rows out, 250,000 rows/s, lag 120 ms", cut to `width` cells.
std::string ProgressText(const Progress& progress, size_t width);

/// Draws the progress of long work on stderr while an object of class Showing lives; nothing when
/// stderr is no terminal.
///
/// Threads: Hide is safe from any; the rest from one.
class ProgressLine {
 public:
  explicit ProgressLine(std::function<Progress()> ask);
  ~ProgressLine();
  /// Erases the line before other output; it comes back with the next tick.
  void Hide();

  class Showing {
   public:
    explicit Showing(ProgressLine& line) : line_(line) { line_.SetActive(true); }
    ~Showing() { line_.SetActive(false); }
    Showing(const Showing&) = delete;
    Showing& operator=(const Showing&) = delete;

   private:
    ProgressLine& line_;
  };

 private:
  void SetActive(bool active);
  void Run();
  void EraseLocked();

  std::function<Progress()> ask_;
  const bool enabled_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool active_ = false, stop_ = false, visible_ = false;
  int ticks_ = 0;  // Since SetActive(true): short work shows nothing.
  std::thread thread_;
};

}  // namespace millrace
