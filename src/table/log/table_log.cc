#include "table/log/table_log.h"

#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

#include "base/bytes.h"
#include "base/error.h"
#include "io/file_lock.h"
#include "table/log/column_codec.h"

namespace millrace {

namespace {

// A batch, little endian: the header, the job's name, the blocks of rows (column_codec.h), CRC-32
// of all. The header has a CRC-32 of its own (over itself with that field 0, and the name), so that
// a length can be believed before the rest is read.
struct Header {
  uint32_t magic;
  uint16_t version;
  uint16_t job_bytes;
  uint32_t rows;
  uint32_t flags;
  int64_t body_bytes;
  int64_t step;
  int64_t time_ms;
  uint32_t reserved;
  uint32_t header_crc;
};
static_assert(sizeof(Header) == 48);

constexpr std::string_view kMagicText = "MRLG";
constexpr uint32_t kMagic = 0x474C524D;
constexpr uint16_t kVersion = 2;
constexpr uint32_t kWholeJobFlag = 1;
constexpr uint32_t kFullFlag = 2;
constexpr int64_t kHeaderBytes = sizeof(Header);
constexpr int64_t kCrcBytes = 4;
constexpr int64_t kSearchBytes = 1 << 20;

std::string LogPath(const std::string& table_folder) {
  return JoinPath(table_folder, "log/log-0");
}

int64_t BatchBytes(const Header& header) {
  return kHeaderBytes + header.job_bytes + header.body_bytes + kCrcBytes;
}

uint32_t HeaderCrc(Header header, std::string_view job) {
  header.header_crc = 0;
  std::string covered(reinterpret_cast<const char*>(&header), sizeof(header));
  return Crc32(covered.append(job));
}

/// What lies at an offset of the file.
struct Found {
  enum class State { kWhole, kEnd, kTorn } state = State::kEnd;
  LogBatch batch;
  std::string bytes;  // The whole batch, when asked for.
  int64_t body_at = 0;
  int64_t body_bytes = 0;
};

/// A file of batches, looked at by offset.
class LogFile {
 public:
  LogFile(RandomAccessFile& file, const std::string& path) : file_(file), path_(path) {}

  /// Looks at the batch at `offset`. Torn: the file ends inside it, or nothing can be made of what
  /// lies there, and no whole batch follows. Without `whole` the rows are not read, but for the
  /// last batch.
  Found Look(int64_t offset, bool whole) const {
    Found found;
    int64_t left = file_.Size() - offset;
    if (left == 0) return found;
    if (left < 0) {
      Throw(ErrorCode::kCorrupt,
            "Cannot read the log {}: it ends at offset {}, and had more than {} bytes before. "
            "Restore it, or DROP and CREATE the table.",
            path_, file_.Size(), offset);
    }
    found.state = Found::State::kTorn;
    std::optional<Header> header = ReadHeader(offset, found.batch.job);
    if (!header) {
      RefuseDamage(offset, "there is no batch");
      return found;
    }
    int64_t size = BatchBytes(*header);
    if (size > left) return found;
    bool is_last = size == left;
    if (whole || is_last) {
      found.bytes = ReadBatch(offset, size);
      if (found.bytes.empty()) {
        if (!is_last) RefuseDamage(offset, "the batch is damaged", true);
        return found;
      }
    }
    found.batch.step = header->step;
    found.batch.time_ms = header->time_ms;
    found.batch.rows = header->rows;
    found.batch.whole_job = (header->flags & kWholeJobFlag) != 0;
    found.batch.full = (header->flags & kFullFlag) != 0;
    found.batch.next_offset = offset + size;
    found.state = Found::State::kWhole;
    found.body_at = kHeaderBytes + header->job_bytes;
    found.body_bytes = header->body_bytes;
    return found;
  }

 private:
  /// nullopt when it is not whole, or not one.
  std::optional<Header> ReadHeader(int64_t offset, std::string& job) const {
    int64_t left = file_.Size() - offset;
    Header header;
    if (left < kHeaderBytes) return std::nullopt;
    file_.ReadAt(offset, &header, kHeaderBytes);
    if (header.magic != kMagic || left < kHeaderBytes + header.job_bytes) return std::nullopt;
    job.resize(header.job_bytes);
    file_.ReadAt(offset + kHeaderBytes, job.data(), header.job_bytes);
    if (header.header_crc == HeaderCrc(header, job) && header.version == kVersion &&
        header.body_bytes >= 0 && header.body_bytes < INT64_MAX / 2) {
      return header;
    }
    if (header.version != kVersion) {
      RefuseDamage(offset, "there is no batch");
      Throw(ErrorCode::kUnsupported,
            "Cannot read the log {}: the batch at offset {} has version {}, this program knows {}. "
            "Use the version of millrace that wrote it.",
            path_, offset, header.version, kVersion);
    }
    return std::nullopt;
  }

  /// Empty when its checksum is wrong.
  std::string ReadBatch(int64_t offset, int64_t size) const {
    std::string bytes(static_cast<size_t>(size), '\0');
    file_.ReadAt(offset, bytes.data(), size);
    std::string_view covered(bytes.data(), static_cast<size_t>(size - kCrcBytes));
    uint32_t crc = 0;
    std::memcpy(&crc, bytes.data() + size - kCrcBytes, sizeof(crc));
    return crc == Crc32(covered) ? bytes : "";
  }

  void RefuseDamage(int64_t offset, const char* what, bool certain = false) const {
    int64_t next = certain ? 0 : FindWhole(offset + 1);
    if (next < 0) return;
    std::string follows =
        certain ? "its checksum is wrong" : fmt::format("a whole batch follows at {}", next);
    Throw(ErrorCode::kCorrupt, "Cannot read the log {}: {} at offset {} ({}).", path_, what, offset,
          follows);
  }

  /// The first whole batch from `offset` on; -1 when there is none.
  int64_t FindWhole(int64_t offset) const {
    std::string block;
    for (int64_t at = offset; at < file_.Size(); at += kSearchBytes) {
      // Blocks overlap, so that no beginning lies in two.
      int64_t overlap = static_cast<int64_t>(kMagicText.size()) - 1;
      block.resize(static_cast<size_t>(std::min(kSearchBytes + overlap, file_.Size() - at)));
      file_.ReadAt(at, block.data(), static_cast<int64_t>(block.size()));
      for (size_t hit = 0; (hit = block.find(kMagicText, hit)) != std::string::npos; hit++) {
        int64_t candidate = at + static_cast<int64_t>(hit);
        if (IsWhole(candidate)) return candidate;
      }
    }
    return -1;
  }

  bool IsWhole(int64_t offset) const {
    Header header;
    int64_t left = file_.Size() - offset;
    if (left < kHeaderBytes) return false;
    file_.ReadAt(offset, &header, kHeaderBytes);
    if (header.body_bytes < 0 || header.body_bytes > left || BatchBytes(header) > left)
      return false;
    std::string job(header.job_bytes, '\0');
    file_.ReadAt(offset + kHeaderBytes, job.data(), header.job_bytes);
    return header.header_crc == HeaderCrc(header, job) &&
           !ReadBatch(offset, BatchBytes(header)).empty();
  }

  RandomAccessFile& file_;
  const std::string& path_;
};

/// The lease on a log: a lock file where the log lies on a disk of this machine, else (a file
/// system of a test) a name that this process holds.
class Lease {
 public:
  Lease(FileSystem& files, const std::string& log_path) : name_(&files, log_path) {
    std::string folder = log_path.substr(0, log_path.rfind('/'));
    files.MakeFolder(folder);
    {
      std::lock_guard lock(mutex_);
      if (!held_.insert(name_).second) Refuse(log_path);
    }
    std::error_code error;
    if (!std::filesystem::is_directory(folder, error)) return;
    try {
      lock_ = FileLock::TryAcquire(JoinPath(folder, "lease"));
      if (!lock_) Refuse(log_path);
    } catch (...) {
      Release();
      throw;
    }
  }
  ~Lease() { Release(); }

 private:
  [[noreturn]] static void Refuse(const std::string& log_path) {
    Throw(ErrorCode::kConflict,
          "Cannot write the log {}: another job or process is writing it. Stop that "
          "writer first; a log has one writer at a time.",
          log_path);
  }
  void Release() {
    std::lock_guard lock(mutex_);
    held_.erase(name_);
  }

  static inline std::mutex mutex_;
  static inline std::set<std::pair<FileSystem*, std::string>> held_;
  std::pair<FileSystem*, std::string> name_;
  std::unique_ptr<FileLock> lock_;
};

duckdb::vector<LogicalType> DuckTypesOf(const std::vector<DataType>& types) {
  duckdb::vector<LogicalType> duck_types;
  for (const DataType& type : types) duck_types.push_back(type.ToDuck());
  return duck_types;
}

}  // namespace

struct LogWriter::State {
  State(FileSystem& files, const std::string& table_folder)
      : files(files), path(LogPath(table_folder)), lease(files, path) {}

  void Recover(int64_t committed) {
    if (files.Exists(path)) {
      std::unique_ptr<RandomAccessFile> log = files.OpenForRead(path);
      bool torn = false;
      while (true) {
        Found found = LogFile(*log, path).Look(end_offset, false);
        torn = found.state == Found::State::kTorn;
        if (found.state != Found::State::kWhole) break;
        const LogBatch& batch = found.batch;
        last_steps[batch.job] = batch.step;
        end_offset = batch.next_offset;
        if (end_offset > committed) tail.push_back(batch);
        if (end_offset <= committed && batch.rows > 0) committed_steps[batch.job] = batch.step;
      }
      RefuseLoss(committed);
      if (torn) files.Truncate(path, end_offset);
    }
    RefuseLoss(committed);
    file = files.OpenForAppend(path);
  }

  void RefuseLoss(int64_t committed) const {
    if (end_offset >= committed) return;
    Throw(ErrorCode::kCorrupt,
          "Cannot write the log {}: it ends at offset {}, but the table's snapshots include it up "
          "to {}. Restore it, or DROP and CREATE the table.",
          path, end_offset, committed);
  }

  FileSystem& files;
  const std::string path;
  Lease lease;
  duckdb::vector<LogicalType> types;
  std::unique_ptr<WritableFile> file;
  std::map<std::string, int64_t> last_steps, committed_steps;
  std::vector<LogBatch> tail;
  int64_t end_offset = 0;
  std::string body;
  int64_t rows = 0;
  bool broken = false;  // A batch may be half written: recover before the next one.
};

LogWriter::LogWriter(FileSystem& files, const std::string& table_folder,
                     std::vector<DataType> types, int64_t committed)
    : state_(std::make_unique<State>(files, table_folder)) {
  state_->types = DuckTypesOf(types);
  state_->Recover(committed);
}

LogWriter::~LogWriter() = default;

std::optional<int64_t> LogWriter::LastStep(const std::string& job) const {
  auto found = state_->last_steps.find(job);
  return found == state_->last_steps.end() ? std::nullopt : std::optional(found->second);
}

std::optional<int64_t> LogWriter::CommittedStep(const std::string& job) const {
  auto found = state_->committed_steps.find(job);
  return found == state_->committed_steps.end() ? std::nullopt : std::optional(found->second);
}

const std::vector<LogBatch>& LogWriter::Tail() const {
  return state_->tail;
}

int64_t LogWriter::EndOffset() const {
  return state_->end_offset;
}

void LogWriter::Add(ChangeChunk& chunk) {
  if (chunk.size() == 0) return;
  MILLRACE_CHECK(chunk.rows.GetTypes() == state_->types);
  EncodeBlock(chunk, state_->body);
  state_->rows += static_cast<int64_t>(chunk.size());
}

int64_t LogWriter::EndStep(const LogStep& step) {
  State& state = *state_;
  std::string body = std::exchange(state.body, {});
  int64_t rows = std::exchange(state.rows, 0);
  if (auto last = LastStep(step.job); last && step.step <= *last) return state.end_offset;
  MILLRACE_CHECK(step.job.size() < 65536 && rows < UINT32_MAX);
  if (state.broken) {
    state.file.reset();
    state.files.Truncate(state.path, state.end_offset);
    state.file = state.files.OpenForAppend(state.path);
    state.broken = false;
  }
  Header header{};
  header.magic = kMagic;
  header.version = kVersion;
  header.job_bytes = static_cast<uint16_t>(step.job.size());
  header.rows = static_cast<uint32_t>(rows);
  header.flags = (step.whole_job ? kWholeJobFlag : 0) | (step.full ? kFullFlag : 0);
  header.body_bytes = static_cast<int64_t>(body.size());
  header.step = step.step;
  header.time_ms = step.time_ms;
  header.header_crc = HeaderCrc(header, step.job);
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += step.job;
  bytes += body;
  uint32_t crc = Crc32(bytes);
  bytes.append(reinterpret_cast<const char*>(&crc), sizeof(crc));
  state.broken = true;
  state.file->Append(bytes);
  state.file->Sync();
  state.broken = false;
  state.last_steps[step.job] = step.step;
  state.end_offset += static_cast<int64_t>(bytes.size());
  return state.end_offset;
}

struct LogReader::State {
  State(FileSystem& files, const std::string& table_folder)
      : files(files), path(LogPath(table_folder)) {}

  /// The batch at `offset`, skipping repeats; the file is opened anew when it has grown.
  bool Fill() {
    if (found) return true;
    for (bool fresh = false;; fresh = true) {
      if (!file) {
        if (!files.Exists(path)) return false;
        file = files.OpenForRead(path);
        fresh = true;
      }
      for (;;) {
        Found next = LogFile(*file, path).Look(offset, true);
        if (next.state != Found::State::kWhole) break;
        auto last = last_steps.find(next.batch.job);
        if (last != last_steps.end() && next.batch.step <= last->second) {
          offset = next.batch.next_offset;
          continue;
        }
        found = std::move(next);
        return true;
      }
      file.reset();  // Its size is that of when it was opened.
      if (fresh) return false;
    }
  }

  FileSystem& files;
  const std::string path;
  duckdb::vector<LogicalType> types;
  std::unique_ptr<RandomAccessFile> file;
  int64_t offset = 0;
  std::map<std::string, int64_t> last_steps;
  std::optional<Found> found;
};

LogReader::LogReader(FileSystem& files, const std::string& table_folder,
                     std::vector<DataType> types, int64_t offset)
    : state_(std::make_unique<State>(files, table_folder)) {
  state_->types = DuckTypesOf(types);
  state_->offset = offset;
}

LogReader::~LogReader() = default;

int64_t LogReader::Offset() const {
  return state_->offset;
}

std::optional<LogBatch> LogReader::Peek() {
  return state_->Fill() ? std::optional(state_->found->batch) : std::nullopt;
}

LogBatch LogReader::Read(const std::vector<idx_t>& columns, const ChangeReceiver& receive) {
  State& state = *state_;
  MILLRACE_CHECK(state.Fill());
  const Found& found = *state.found;
  duckdb::vector<LogicalType> types;
  for (idx_t column : columns) types.push_back(state.types[column]);
  ChangeChunk chunk;
  chunk.Initialize(types);
  std::string_view body(found.bytes.data() + found.body_at, static_cast<size_t>(found.body_bytes));
  while (!body.empty()) {
    if (!DecodeBlock(body, columns, chunk)) {
      Throw(ErrorCode::kCorrupt,
            "Cannot read the log {}: the rows of the batch at offset {} do not have the "
            "table's column types.",
            state.path, state.offset);
    }
    receive(chunk);
  }
  return Skip();
}

LogBatch LogReader::Skip() {
  State& state = *state_;
  MILLRACE_CHECK(state.Fill());
  LogBatch batch = state.found->batch;
  state.last_steps[batch.job] = batch.step;
  state.offset = batch.next_offset;
  state.found.reset();
  return batch;
}

}  // namespace millrace
