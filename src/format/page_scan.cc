#include "format/page_scan.h"

#include <cstring>

#include "base/bytes.h"
#include "base/error.h"
#include "parquet_types.h"
#include "thrift/protocol/TCompactProtocol.h"
#include "thrift/transport/TBufferTransports.h"

namespace millrace {

namespace {

namespace thrift = duckdb_apache::thrift;

/// Lets Thrift read from memory and tells how far it came.
class Bytes : public thrift::transport::TVirtualTransport<Bytes> {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  uint32_t read(uint8_t* buffer, uint32_t length) {
    size_t count = std::min<size_t>(length, bytes_.size() - position_);
    std::memcpy(buffer, bytes_.data() + position_, count);
    position_ += count;
    return static_cast<uint32_t>(count);
  }
  size_t position() const { return position_; }

 private:
  std::string_view bytes_;
  size_t position_ = 0;
};

}  // namespace

ChunkPages ScanPages(std::string_view chunk) {
  ChunkPages pages;
  while (!chunk.empty()) {
    auto bytes = duckdb_base_std::make_shared<Bytes>(chunk);
    thrift::protocol::TCompactProtocolT<Bytes> protocol(bytes);
    duckdb_parquet::PageHeader header;
    header.read(&protocol);
    size_t left = chunk.size() - bytes->position();
    if (header.compressed_page_size < 0 ||
        static_cast<size_t>(header.compressed_page_size) > left) {
      Throw(ErrorCode::kCorrupt, "A page of {} bytes does not fit into {} of its column chunk",
            header.compressed_page_size, left);
    }
    size_t length = bytes->position() + static_cast<size_t>(header.compressed_page_size);
    pages.push_back({static_cast<int64_t>(length), Crc32(chunk.substr(0, length))});
    chunk.remove_prefix(length);
  }
  return pages;
}

}  // namespace millrace
