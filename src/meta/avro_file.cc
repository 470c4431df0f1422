// avro_file.cc - the container: header, compressed blocks, sync markers.
//
// Zstandard frames come without their size from Java (it streams), so blocks are decompressed in
// steps. Ours carry a checksum, which every zstd reader verifies.
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "meta/avro.h"

namespace millrace {

namespace {

constexpr std::string_view kMagic("Obj\x01", 4);
constexpr size_t kSyncBytes = 16;
constexpr size_t kBlockBytes = 64000;               // What Java's writer uses.
constexpr size_t kMaxBlockBytes = size_t{1} << 30;  // No writer makes blocks this large.

/// In the metadata of files that we write: a checksum of the header, as the damaged name of an
/// optional field would make a file without it, and the length of what follows, as a file that is
/// cut between two blocks is a file with fewer rows.
constexpr std::string_view kHeaderCheck = "millrace.header";

std::string HeaderCheck(std::string_view schema, std::string_view codec, size_t bytes_after) {
  std::string length = std::to_string(bytes_after);
  return fmt::format("{:08x} {}", Crc32(length, Crc32(schema, Crc32(codec))), length);
}

[[noreturn]] void FailFile(const std::string& file, const std::string& found) {
  Throw(ErrorCode::kCorrupt, "Reading Avro file '{}': {}", file, found);
}

void DecompressZstd(std::string_view in, std::string& out, const std::string& file) {
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  ZSTD_inBuffer input{in.data(), in.size(), 0};
  out.resize(std::max<size_t>(in.size() * 4, 4096));
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  size_t hint = 1;  // 0 once a frame is complete.
  while (input.pos < input.size || (hint != 0 && output.pos == output.size)) {
    if (output.pos == output.size) {
      if (out.size() >= kMaxBlockBytes) FailFile(file, "a block is too large");
      out.resize(out.size() * 2);
      output.dst = out.data();
      output.size = out.size();
    }
    hint = ZSTD_decompressStream(context.get(), &output, &input);
    if (ZSTD_isError(hint) != 0) {
      FailFile(file, fmt::format("a block does not decompress: {}", ZSTD_getErrorName(hint)));
    }
  }
  if (hint != 0) FailFile(file, "a compressed block is cut");
  out.resize(output.pos);
}

void Inflate(std::string_view in, std::string& out, const std::string& file) {
  z_stream stream{};
  if (inflateInit2(&stream, -15) != Z_OK) FailFile(file, "zlib has no memory");  // Raw deflate.
  std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  out.resize(std::max<size_t>(in.size() * 4, 4096));
  for (;;) {
    stream.next_out = reinterpret_cast<Bytef*>(out.data()) + stream.total_out;
    stream.avail_out = static_cast<uInt>(out.size() - stream.total_out);
    int result = inflate(&stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END) break;
    bool full = stream.avail_out == 0;
    if ((result != Z_OK && result != Z_BUF_ERROR) || !full)
      FailFile(file, "a block does not inflate");
    if (out.size() >= kMaxBlockBytes) FailFile(file, "a block is too large");
    out.resize(out.size() * 2);
  }
  out.resize(stream.total_out);
}

std::string CompressZstd(std::string_view in) {
  std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, 1);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(in.size()), '\0');
  size_t size = ZSTD_compress2(context.get(), out.data(), out.size(), in.data(), in.size());
  MILLRACE_CHECK(ZSTD_isError(size) == 0);
  out.resize(size);
  return out;
}

std::string Deflate(std::string_view in) {
  z_stream stream{};
  MILLRACE_CHECK(
      deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, in.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  MILLRACE_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

AvroFileReader::AvroFileReader(std::string_view bytes, const std::string& file)
    : rest_(bytes), file_(file), codec_("null") {
  if (rest_.substr(0, kMagic.size()) != kMagic)
    FailFile(file_, "it does not start as an Avro file");
  rest_.remove_prefix(kMagic.size());
  AvroInput header(rest_, file_);
  std::string_view schema, check;
  for (;;) {
    int64_t count = header.Long();
    if (count == 0) break;
    if (count < 0) header.Long();  // Then the size in bytes follows, for those who skip.
    if (count == INT64_MIN || std::abs(count) > static_cast<int64_t>(bytes.size())) {
      FailFile(file_, "its header is wrong");
    }
    count = std::abs(count);
    for (int64_t i = 0; i < count; i++) {
      std::string_view key = header.Bytes();
      std::string_view value = header.Bytes();
      if (key == "avro.schema") schema = value;
      if (key == "avro.codec") codec_ = value;
      if (key == kHeaderCheck) check = value;
    }
  }
  sync_ = header.Take(kSyncBytes);
  rest_ = std::string_view(
      sync_.data() + kSyncBytes,
      static_cast<size_t>(bytes.data() + bytes.size() - sync_.data()) - kSyncBytes);
  if (schema.empty()) FailFile(file_, "it has no schema");
  if (!check.empty() && check != HeaderCheck(schema, codec_, rest_.size())) {
    FailFile(file_, "its header or its length is not what was written");
  }
  schema_ = std::make_unique<AvroSchema>(schema, file_);
  for (const char* other : {"snappy", "bzip2", "xz", "lz4"}) {
    if (codec_ == other) {
      Throw(ErrorCode::kUnsupported,
            "Reading Avro file '{}': codec {} is not supported; zstandard, deflate and null are",
            file_, codec_);
    }
  }
  if (codec_ != "null" && codec_ != "deflate" && codec_ != "zstandard") {
    FailFile(file_, "its codec is unknown");
  }
}

std::optional<std::string_view> AvroFileReader::NextBlock(int64_t& rows) {
  if (rest_.empty()) return std::nullopt;
  AvroInput input(rest_, file_);
  rows = input.Long();
  std::string_view data = input.Bytes();
  std::string_view sync = input.Take(kSyncBytes);
  if (sync != sync_) FailFile(file_, "a block ends without its sync marker");
  rest_ =
      std::string_view(sync.data() + kSyncBytes,
                       static_cast<size_t>(rest_.data() + rest_.size() - sync.data()) - kSyncBytes);
  if (codec_ == "zstandard") {
    DecompressZstd(data, block_, file_);
    data = block_;
  } else if (codec_ == "deflate") {
    Inflate(data, block_, file_);
    data = block_;
  }
  if (rows < 0 || static_cast<uint64_t>(rows) > data.size()) {
    FailFile(file_, fmt::format("a block of {} bytes claims {} rows", data.size(), rows));
  }
  return data;
}

AvroFileWriter::AvroFileWriter(std::string_view schema_json, std::string codec)
    : schema_(schema_json), codec_(std::move(codec)) {
  // The marker only has to be unlikely inside the data; taken from the schema, equal files are
  // equal.
  for (uint32_t i = 0; i < kSyncBytes / 4; i++)
    AppendLittle(sync_, Crc32(schema_json, 0x9e3779b9 * (i + 1)));
}

void AvroFileWriter::EndRow() {
  rows_++;
  if (block_.size() >= kBlockBytes) FlushBlock();
}

void AvroFileWriter::FlushBlock() {
  if (rows_ == 0) return;
  AppendAvroLong(blocks_, rows_);
  if (codec_ == "zstandard") {
    AppendAvroBytes(blocks_, CompressZstd(block_));
  } else if (codec_ == "deflate") {
    AppendAvroBytes(blocks_, Deflate(block_));
  } else {
    AppendAvroBytes(blocks_, block_);
  }
  blocks_ += sync_;
  block_.clear();
  rows_ = 0;
}

std::string AvroFileWriter::Finish() {
  FlushBlock();
  std::string out(kMagic);
  AppendAvroLong(out, 3);
  AppendAvroBytes(out, "avro.codec");
  AppendAvroBytes(out, codec_);
  AppendAvroBytes(out, "avro.schema");
  AppendAvroBytes(out, schema_);
  AppendAvroBytes(out, kHeaderCheck);
  AppendAvroBytes(out, HeaderCheck(schema_, codec_, blocks_.size()));
  AppendAvroLong(out, 0);
  out += sync_;
  out += blocks_;
  return out;
}

void AppendAvroBytes(std::string& out, std::string_view bytes) {
  AppendAvroLong(out, static_cast<int64_t>(bytes.size()));
  out.append(bytes);
}

}  // namespace millrace
