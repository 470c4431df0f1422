#include "sql/connect/file/single_file.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "format/codec/text_values.h"
#include "format/parquet_file.h"
#include "sql/connect/file/file_writer.h"

namespace millrace {

namespace {

constexpr int64_t kCopyBytes = 1 << 20;
constexpr int64_t kLeaseWaitMs = 60'000;
constexpr int64_t kLeasePollMs = 5;
constexpr const char* kMergedEnding = ".merged";
constexpr size_t kUuidLength = 36;

/// Appends bytes [`begin`, end) of `from`; the last one.
char CopyBytes(RandomAccessFile& from, int64_t begin, WritableFile& to) {
  std::string buffer;
  int64_t size = from.Size();
  for (int64_t at = begin; at < size; at += static_cast<int64_t>(buffer.size())) {
    buffer.resize(static_cast<size_t>(std::min(kCopyBytes, size - at)));
    from.ReadAt(at, buffer.data(), static_cast<int64_t>(buffer.size()));
    to.Append(buffer);
  }
  return buffer.empty() ? '\n' : buffer.back();
}

/// Where `path` leads, through links whose file is yet to be made as well.
std::string FollowLinks(std::filesystem::path path) {
  std::error_code ignored;  // What cannot be resolved is told by what comes next.
  for (int links = 0; links < 40 && std::filesystem::is_symlink(path, ignored); links++) {
    path = path.parent_path() / std::filesystem::read_symlink(path, ignored);
  }
  std::filesystem::path resolved = std::filesystem::weakly_canonical(path, ignored);
  return resolved.empty() ? path.string() : resolved.string();
}

/// A header line by which others are compared: quotes and the line's end do not matter.
std::string BareHeader(std::string_view line) {
  std::string bare(line.substr(0, line.find_first_of("\r\n")));
  std::erase(bare, '"');
  return bare;
}

}  // namespace

/// The right to replace the file, for as long as it lives.
class SingleFile::Lease {
 public:
  explicit Lease(const SingleFile& file)
      : files_(file.files_),
        lock_path_(JoinPath(file.folder_, "." + FileName(file.path_) + ".lock")) {
    for (int64_t waited_ms = 0;; waited_ms += kLeasePollMs) {
      lock_ = FileLock::TryAcquire(lock_path_);
      if (lock_) return;
      if (waited_ms >= kLeaseWaitMs) {
        Throw(ErrorCode::kConflict,
              "Publishing rows into {}: somebody else has held {} for {} s; end that process and "
              "run again",
              file.path_, lock_path_, kLeaseWaitMs / 1000);
      }
      file.environment_.clock.SleepMs(kLeasePollMs);
    }
  }
  ~Lease() {
    try {
      files_.Delete(lock_path_);  // While it is held: who waits looks whether it is still there.
    } catch (const Error&) {      // An empty hidden file stays.
    }
  }

 private:
  FileSystem& files_;
  std::string lock_path_;
  std::unique_ptr<FileLock> lock_;
};

SingleFile::SingleFile(Environment& environment, const FileTable& table)
    : environment_(environment),
      files_(environment.files),
      table_(table),
      path_(FollowLinks(table.path)) {
  size_t slash = path_.rfind('/');
  folder_ = slash == 0 ? "/" : path_.substr(0, slash);
}

bool SingleFile::HasContent() const {
  return files_.Exists(path_) && files_.OpenForRead(path_)->Size() > 0;
}

std::string SingleFile::PartName(const std::string& ending) const {
  std::string uuid = environment_.random.Uuid();
  MILLRACE_CHECK(uuid.size() == kUuidLength);
  return JoinPath(folder_, "." + FileName(path_) + "-" + uuid + ending);
}

bool SingleFile::Publish(const std::string& part, int64_t header_bytes) {
  std::string merged = part + kMergedEnding;
  if (!files_.Exists(part) && !files_.Exists(merged)) return files_.Exists(path_);
  Lease lease(*this);
  FinishMerges();
  if (!files_.Exists(part)) return true;
  if (!HasContent()) {
    files_.Rename(part, path_);
    return true;
  }
  if (table_.IsParquet()) {
    MergeParquet(part, merged);
  } else {
    MergeText(part, header_bytes, merged);
  }
  std::error_code ignored;  // Readers keep their rights, where we may give them.
  auto rights = std::filesystem::status(path_, ignored).permissions();
  if (!ignored) std::filesystem::permissions(merged, rights, ignored);
  files_.Delete(part);
  files_.Rename(merged, path_);
  return true;
}

void SingleFile::FinishMerges() {
  std::string prefix = "." + FileName(path_) + "-";
  for (const FileEntry& entry : files_.List(folder_)) {
    if (!entry.name.starts_with(prefix) || !entry.name.ends_with(kMergedEnding)) continue;
    // ".a.csv-b.csv-<uuid>..." belongs to another file: behind its uuid comes the ending.
    size_t ending = prefix.size() + kUuidLength;
    if (entry.name.size() <= ending || entry.name[ending] != '.') continue;
    std::string merged = JoinPath(folder_, entry.name);
    std::string part = merged.substr(0, merged.size() - std::string_view(kMergedEnding).size());
    if (files_.Exists(part)) {
      files_.Delete(merged);
    } else {
      files_.Rename(merged, path_);
    }
  }
}

void SingleFile::MergeText(const std::string& part, int64_t header_bytes,
                           const std::string& merged) {
  auto target = files_.OpenForWrite(merged);
  char last = CopyBytes(*files_.OpenForRead(path_), 0, *target);
  if (last != '\n') target->Append("\n");
  CopyBytes(*files_.OpenForRead(part), header_bytes, *target);
  target->Close();
}

void SingleFile::MergeParquet(const std::string& part, const std::string& merged) {
  CheckParquet();
  auto writer = OpenParquetWriter(environment_, table_, merged);
  for (const std::string& from : {path_, part}) {
    ParquetFileReader reader(environment_.database, files_, from, ParquetColumns(table_));
    DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
    while (reader.Next(chunk)) writer->Write(chunk);
  }
  writer->Finish();
}

void SingleFile::CheckFits() const {
  if (!HasContent()) return;
  if (table_.IsParquet()) {
    CheckParquet();
  } else {
    CheckHeader();
  }
}

void SingleFile::CheckHeader() const {
  std::string header = FileHeader(table_);
  if (header.empty()) return;
  auto file = files_.OpenForRead(path_);
  // Room for a byte order mark, quotes around each name, and the line's end.
  auto length = static_cast<int64_t>(header.size() + 2 * table_.fields.size() + 8);
  std::string head(static_cast<size_t>(std::min(length, file->Size())), '\0');
  file->ReadAt(0, head.data(), static_cast<int64_t>(head.size()));
  if (head.starts_with("\xEF\xBB\xBF")) head.erase(0, 3);
  if (BareHeader(head) == BareHeader(header)) return;
  Throw(ErrorCode::kInvalid,
        "Writing table {}: {} exists and begins with '{}', not with the table's columns '{}'; name "
        "another file, or declare those columns",
        table_.definition->path.ToString(), path_, Shortened(BareHeader(head), 80),
        Shortened(BareHeader(header), 80));
}

void SingleFile::CheckParquet() const {
  ParquetFileReader reader(environment_.database, files_, path_, {});
  auto there = reader.FileColumnTypes();
  bool same = there.size() == table_.fields.size();
  std::string names;
  for (size_t i = 0; i < there.size(); i++) {
    names += (i ? ", " : "") + there[i].first;
    same = same && there[i].first == table_.fields[i].name &&
           there[i].second.InternalType() == table_.fields[i].type.ToDuck().InternalType();
  }
  if (same) return;
  Throw(ErrorCode::kInvalid,
        "Writing table {}: {} exists and has other columns ({}) than the table; name another file, "
        "or declare those columns",
        table_.definition->path.ToString(), path_, Shortened(names, 120));
}

}  // namespace millrace
