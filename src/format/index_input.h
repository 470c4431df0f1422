// index_input.h - the bytes of one file index, in memory or in a file, read piece by piece.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "io/file_system.h"

namespace millrace {

/// A part of a file or of memory.
/// Threads: one at a time. Throws: Error(kCorrupt) naming the file for bytes that are not there.
class IndexBytes {
 public:
  /// `bytes` outlives this object.
  IndexBytes(std::string_view bytes, std::string name);
  IndexBytes(std::shared_ptr<RandomAccessFile> file, std::string name);
  /// From `offset` on, `length` bytes.
  IndexBytes Part(int64_t offset, int64_t length) const;

  int64_t size() const { return size_; }
  const std::string& name() const { return name_; }
  std::string Read(int64_t offset, int64_t length) const;
  [[noreturn]] void Fail(const std::string& what) const;

 private:
  std::string name_;
  std::string_view memory_;
  std::shared_ptr<RandomAccessFile> file_;
  int64_t start_ = 0;
  int64_t size_ = 0;
};

/// Reads numbers and texts one after the other, big endian, a window of the bytes at a time.
/// Threads, Throws: as IndexBytes, which outlives this object.
class IndexInput {
 public:
  explicit IndexInput(const IndexBytes& bytes, int64_t at = 0) : bytes_(bytes), at_(at) {}

  template <typename T>
  T Take() {
    return LoadBig<T>(Need(sizeof(T)));
  }
  std::string TakeBytes(int64_t length) {
    if (length < 0) bytes_.Fail(fmt::format("it has a text of {} bytes", length));
    return std::string(Need(length), static_cast<size_t>(length));
  }
  /// Java's writeUTF, without its escapes for characters beyond the basic plane and zero.
  std::string TakeText() { return TakeBytes(Take<uint16_t>()); }
  int64_t at() const { return at_; }

 private:
  const char* Need(int64_t length);

  const IndexBytes& bytes_;
  int64_t at_;
  std::string window_;
  int64_t window_at_ = 0;
};

}  // namespace millrace
