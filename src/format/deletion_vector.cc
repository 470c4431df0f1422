#include "format/deletion_vector.h"

#include "base/bytes.h"
#include "base/error.h"

namespace millrace {

namespace {

constexpr char kFileVersion = 1;
constexpr uint32_t kMagic32 = 1581511376;  // Big endian on disk.
constexpr uint32_t kMagic64 = 1681511377;  // Little endian on disk.

[[noreturn]] void Fail(const std::string& file, const std::string& what) {
  Throw(ErrorCode::kCorrupt, "Reading deletion vectors '{}': {}", file, what);
}

/// The bitmap that is all of `bytes`.
RowSet DecodeBitmap(std::string_view bytes, const std::string& file) {
  size_t used = 0;
  std::optional<RowSet> rows = RowSet::Decode(bytes, used);
  if (!rows || used != bytes.size()) Fail(file, "a bitmap of deleted rows is damaged");
  return std::move(*rows);
}

/// Version 2: one bitmap for each upper half of positions; data files have only the first.
RowSet DecodeBitmaps(std::string_view body, const std::string& file) {
  if (body.size() < 8) Fail(file, "a vector is cut");
  auto bitmaps = LoadLittle<uint64_t>(body.data());
  if (bitmaps == 0 && body.size() == 8) return RowSet();
  if (bitmaps != 1 || body.size() < 12 || LoadLittle<uint32_t>(body.data() + 8) != 0) {
    Fail(file, "a vector is for more rows than a data file can have");
  }
  return DecodeBitmap(body.substr(12), file);
}

}  // namespace

std::string EncodeDeletionVector(const RowSet& rows, bool bitmap64) {
  std::string body;
  if (bitmap64) {
    AppendLittle<uint32_t>(body, kMagic64);
    AppendLittle<uint64_t>(body, rows.Empty() ? 0 : 1);
    if (!rows.Empty()) AppendLittle<uint32_t>(body, 0);  // The upper half of all positions.
  } else {
    AppendBig<uint32_t>(body, kMagic32);
  }
  if (!bitmap64 || !rows.Empty()) body += rows.Encode();
  std::string bytes;
  AppendBig<uint32_t>(bytes, static_cast<uint32_t>(body.size()));
  bytes += body;
  AppendBig<uint32_t>(bytes, Crc32(body));
  return bytes;
}

RowSet DecodeDeletionVector(std::string_view bytes, int64_t length, const std::string& file) {
  if (bytes.size() < 12) Fail(file, fmt::format("{} bytes are left of a vector", bytes.size()));
  uint64_t body_length = LoadBig<uint32_t>(bytes.data());
  if (body_length < 4 || body_length > bytes.size() - 8) {
    Fail(file,
         fmt::format("a vector claims {} bytes, there are {}", body_length, bytes.size() - 8));
  }
  bool is_64 = LoadLittle<uint32_t>(bytes.data() + 4) == kMagic64;
  if (!is_64 && LoadBig<uint32_t>(bytes.data() + 4) != kMagic32) {
    Fail(file, fmt::format("a vector begins with {:08x}, no magic number",
                           LoadBig<uint32_t>(bytes.data() + 4)));
  }
  uint64_t covered = body_length + (is_64 ? 8 : 0);
  if (length < 0 || static_cast<uint64_t>(length) != covered) {
    Fail(file, fmt::format("a vector has the length {}, its manifest says {}", covered, length));
  }
  std::string_view body = bytes.substr(4, body_length);
  if (Crc32(body) != LoadBig<uint32_t>(bytes.data() + 4 + body_length))
    Fail(file, "a vector's checksum is wrong");
  body.remove_prefix(4);
  return is_64 ? DecodeBitmaps(body, file) : DecodeBitmap(body, file);
}

std::string EncodeDeletionVectors(const DeletionVectors& vectors, bool bitmap64,
                                  std::vector<DeletionVectorRange>& ranges) {
  std::string bytes(1, kFileVersion);
  ranges.clear();
  for (const auto& [data_file, rows] : vectors) {
    std::string vector = EncodeDeletionVector(rows, bitmap64);
    auto length = static_cast<int>(bitmap64 ? vector.size() : vector.size() - 8);
    ranges.push_back({data_file, static_cast<int>(bytes.size()), length, rows.Size()});
    bytes += vector;
  }
  return bytes;
}

DeletionVectors DecodeDeletionVectors(std::string_view bytes,
                                      const std::vector<DeletionVectorRange>& ranges,
                                      const std::string& file) {
  if (bytes.empty() || bytes[0] != kFileVersion) {
    Fail(file, fmt::format("the file's version is not {}", static_cast<int>(kFileVersion)));
  }
  DeletionVectors vectors;
  for (const DeletionVectorRange& range : ranges) {
    if (range.offset < 1 || static_cast<size_t>(range.offset) > bytes.size()) {
      Fail(file, fmt::format("it has {} bytes, none at {}", bytes.size(), range.offset));
    }
    vectors[range.data_file] =
        DecodeDeletionVector(bytes.substr(static_cast<size_t>(range.offset)), range.length, file);
  }
  return vectors;
}

std::shared_ptr<const RowSet> ReadDeletionVector(FileSystem& files, const DeletionFile& place) {
  std::unique_ptr<RandomAccessFile> file;
  try {
    file = files.OpenForRead(place.path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    Fail(place.path,
         "the table's metadata names this file, which is missing. If its snapshot was expired "
         "meanwhile, run the query again.");
  }
  // In version 1 the length does not cover the frame.
  int64_t wanted = std::min<int64_t>(place.length + 8, file->Size() - place.offset);
  if (place.offset < 1 || place.length < 0 || wanted < 0) {
    Fail(place.path, fmt::format("it has {} bytes, none at {}", file->Size(), place.offset));
  }
  std::string bytes(static_cast<size_t>(wanted), '\0');
  file->ReadAt(place.offset, bytes.data(), wanted);
  return std::make_shared<const RowSet>(DecodeDeletionVector(bytes, place.length, place.path));
}

}  // namespace millrace
