#include "format/index_input.h"

#include <algorithm>

#include "base/error.h"

namespace millrace {

namespace {

constexpr int64_t kWindowBytes = 16 << 10;

}  // namespace

IndexBytes::IndexBytes(std::string_view bytes, std::string name)
    : name_(std::move(name)), memory_(bytes), size_(static_cast<int64_t>(bytes.size())) {}

IndexBytes::IndexBytes(std::shared_ptr<RandomAccessFile> file, std::string name)
    : name_(std::move(name)), file_(std::move(file)), size_(file_->Size()) {}

void IndexBytes::Fail(const std::string& what) const {
  Throw(ErrorCode::kCorrupt, "Reading file index '{}': {}", name_, what);
}

IndexBytes IndexBytes::Part(int64_t offset, int64_t length) const {
  if (offset < 0 || length < 0 || offset > size_ || length > size_ - offset) {
    Fail(fmt::format("{} bytes at {} are not there, it has {}", length, offset, size_));
  }
  IndexBytes part = *this;
  part.start_ += offset;
  part.size_ = length;
  return part;
}

std::string IndexBytes::Read(int64_t offset, int64_t length) const {
  IndexBytes part = Part(offset, length);
  if (!file_) {
    return std::string(
        memory_.substr(static_cast<size_t>(part.start_), static_cast<size_t>(length)));
  }
  std::string bytes(static_cast<size_t>(length), '\0');
  file_->ReadAt(part.start_, bytes.data(), length);
  return bytes;
}

const char* IndexInput::Need(int64_t length) {
  if (at_ < window_at_ || at_ + length > window_at_ + static_cast<int64_t>(window_.size())) {
    int64_t wanted = std::max(length, std::min(kWindowBytes, bytes_.size() - at_));
    window_ = bytes_.Read(at_, wanted);
    window_at_ = at_;
  }
  const char* found = window_.data() + (at_ - window_at_);
  at_ += length;
  return found;
}

}  // namespace millrace
