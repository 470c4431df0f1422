#include "app/progress_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>

#include "base/error.h"

namespace millrace {

namespace {

constexpr auto kTick = std::chrono::milliseconds(250);
constexpr int kQuietTicks = 3;

winsize TerminalSize(int descriptor) {
  winsize size{};
  if (!isatty(descriptor) || ioctl(descriptor, TIOCGWINSZ, &size) != 0) return {};
  if (size.ws_col == 0) size.ws_col = 80;
  if (size.ws_row == 0) size.ws_row = 24;
  return size;
}

// 1234567 -> "1,234,567".
std::string Grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3) {
    digits.insert(at, ",");
  }
  return digits;
}

std::string LagText(int64_t lag_ms) {
  if (lag_ms < 10'000) return fmt::format("{} ms", lag_ms);
  if (lag_ms < 600'000) return fmt::format("{} s", lag_ms / 1000);
  return fmt::format("{} min", lag_ms / 60'000);
}

}  // namespace

size_t TerminalWidth(int descriptor) {
  return TerminalSize(descriptor).ws_col;
}
size_t TerminalHeight(int descriptor) {
  return TerminalSize(descriptor).ws_row;
}

std::string ProgressText(const Progress& progress, size_t width) {
  std::string text = progress.what.empty() ? "running" : progress.what;
  text += fmt::format(": {} rows in, {} rows out", Grouped(progress.rows_in),
                      Grouped(progress.rows_out));
  if (progress.rows_per_second > 0) {
    text += fmt::format(", {} rows/s", Grouped(static_cast<int64_t>(progress.rows_per_second)));
  }
  if (progress.lag_ms >= 0) text += ", lag " + LagText(progress.lag_ms);
  if (width > 0 && text.size() >= width) text.resize(width - 1);
  return text;
}

ProgressLine::ProgressLine(std::function<Progress()> ask)
    : ask_(std::move(ask)), enabled_(isatty(STDERR_FILENO)) {}

ProgressLine::~ProgressLine() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ProgressLine::Hide() {
  std::lock_guard lock(mutex_);
  EraseLocked();
}

void ProgressLine::SetActive(bool active) {
  if (!enabled_) return;
  std::lock_guard lock(mutex_);
  active_ = active;
  ticks_ = 0;
  if (!active) EraseLocked();
  if (active && !thread_.joinable()) thread_ = std::thread([this] { Run(); });
  wake_.notify_all();
}

void ProgressLine::EraseLocked() {
  if (!visible_) return;
  visible_ = false;
  if (::write(STDERR_FILENO, "\r\x1b[K", 4) < 0) return;  // The terminal is gone: nothing to erase.
}

void ProgressLine::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (!active_) {
      wake_.wait(lock);
      continue;
    }
    wake_.wait_for(lock, kTick);
    if (stop_ || !active_ || ++ticks_ < kQuietTicks) continue;
    lock.unlock();  // The session may be writing output right now, which calls Hide.
    Progress progress = ask_();
    lock.lock();
    if (stop_ || !active_ || progress.what.empty()) continue;
    std::string text = "\r" + ProgressText(progress, TerminalWidth(STDERR_FILENO)) + "\x1b[K";
    visible_ = ::write(STDERR_FILENO, text.data(), text.size()) > 0;
  }
}

}  // namespace millrace
