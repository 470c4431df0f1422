#include "app/output.h"

#include <unistd.h>

#include <cerrno>

namespace millrace {

int Output::overflow(int character) {
  if (character == EOF) return 0;
  char c = static_cast<char>(character);
  xsputn(&c, 1);
  return character;
}

std::streamsize Output::xsputn(const char* text, std::streamsize length) {
  bool now_closed = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return length;
    if (on_write_) on_write_();
    std::streamsize done = 0;
    while (done < length) {
      ssize_t written = ::write(descriptor_, text + done, length - done);
      if (written >= 0) {
        done += written;
      } else if (errno != EINTR) {
        failure_ = errno == EPIPE ? 0 : errno;
        closed_ = now_closed = true;
        break;
      }
    }
  }
  if (now_closed && on_closed_) on_closed_();
  return length;
}

}  // namespace millrace
