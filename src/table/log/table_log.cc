#include "table/log/table_log.h"

#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

#include "base/error.h"
#include "io/file_lock.h"
#include "table/log/column_codec.h"

namespace millrace {

namespace {

// A batch, little endian: the header, the job's name, the blocks of rows (column_codec.h), CRC-32
// of all.
struct Header {
  uint32_t magic;
  uint16_t version;
  uint16_t job_bytes;
  uint32_t rows;
  uint32_t reserved;
  int64_t body_bytes;
  int64_t step;
  int64_t time_ms;
};
static_assert(sizeof(Header) == 40);

constexpr uint32_t kMagic = 0x474C524D;  // "MRLG"
constexpr uint16_t kVersion = 1;
constexpr int64_t kCrcBytes = 4;

std::string LogPath(const std::string& table_folder) {
  return JoinPath(table_folder, "log/log-0");
}

int64_t BatchBytes(const Header& header) {
  return static_cast<int64_t>(sizeof(Header)) + header.job_bytes + header.body_bytes + kCrcBytes;
}

/// What lies at an offset of the file.
struct Found {
  enum class State { kWhole, kEnd, kTorn } state = State::kEnd;
  LogBatch batch;
  std::string bytes;  // The whole batch, when asked for.
  int64_t body_at = 0;
  int64_t body_bytes = 0;
};

/// Looks at the batch at `offset`. Torn: the file ends inside it, or it is the last one and its CRC
/// is wrong. Without `whole` only the header is read, but for the last batch.
Found Look(RandomAccessFile& file, const std::string& path, int64_t offset, bool whole) {
  Found found;
  int64_t left = file.Size() - offset;
  if (left == 0) return found;
  found.state = Found::State::kTorn;
  Header header;
  if (left < static_cast<int64_t>(sizeof(header))) return found;
  file.ReadAt(offset, &header, sizeof(header));
  if (header.magic == 0 && header.body_bytes == 0)
    return found;  // Grown by a crash, never written.
  if (header.magic != kMagic || header.body_bytes < 0) {
    Throw(ErrorCode::kCorrupt, "Cannot read the log {}: there is no batch at offset {}.", path,
          offset);
  }
  if (header.version != kVersion) {
    Throw(ErrorCode::kUnsupported,
          "Cannot read the log {}: the batch at offset {} has version {}, this "
          "program knows {}. Use the version of millrace that wrote it.",
          path, offset, header.version, kVersion);
  }
  if (header.body_bytes > left || BatchBytes(header) > left) return found;
  int64_t size = BatchBytes(header);
  bool is_last = size == left;
  found.batch = {std::string(header.job_bytes, '\0'), header.step, header.time_ms, header.rows,
                 offset + size};
  if (whole || is_last) {
    found.bytes.resize(static_cast<size_t>(size));
    file.ReadAt(offset, found.bytes.data(), size);
    std::string_view covered(found.bytes.data(), static_cast<size_t>(size - kCrcBytes));
    uint32_t crc = 0;
    std::memcpy(&crc, found.bytes.data() + size - kCrcBytes, sizeof(crc));
    if (crc != Crc32(covered)) {
      if (is_last) return found;
      Throw(ErrorCode::kCorrupt,
            "Cannot read the log {}: the batch at offset {} is damaged (its checksum "
            "is wrong).",
            path, offset);
    }
    std::memcpy(found.batch.job.data(), found.bytes.data() + sizeof(header), header.job_bytes);
  } else {
    file.ReadAt(offset + static_cast<int64_t>(sizeof(header)), found.batch.job.data(),
                header.job_bytes);
  }
  found.state = Found::State::kWhole;
  found.body_at = static_cast<int64_t>(sizeof(header)) + header.job_bytes;
  found.body_bytes = header.body_bytes;
  return found;
}

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

  void Recover() {
    if (files.Exists(path)) {
      std::unique_ptr<RandomAccessFile> log = files.OpenForRead(path);
      for (;;) {
        Found found = Look(*log, path, end_offset, false);
        if (found.state == Found::State::kTorn) files.Truncate(path, end_offset);
        if (found.state != Found::State::kWhole) break;
        last_steps[found.batch.job] = found.batch.step;
        end_offset = found.batch.next_offset;
      }
    }
    file = files.OpenForAppend(path);
  }

  FileSystem& files;
  const std::string path;
  Lease lease;
  duckdb::vector<LogicalType> types;
  std::unique_ptr<WritableFile> file;
  std::map<std::string, int64_t> last_steps;
  int64_t end_offset = 0;
  std::string body;
  int64_t rows = 0;
  bool broken = false;  // A batch may be half written: recover before the next one.
};

LogWriter::LogWriter(FileSystem& files, const std::string& table_folder,
                     std::vector<DataType> types)
    : state_(std::make_unique<State>(files, table_folder)) {
  state_->types = DuckTypesOf(types);
  state_->Recover();
}

LogWriter::~LogWriter() = default;

std::optional<int64_t> LogWriter::LastStep(const std::string& job) const {
  auto found = state_->last_steps.find(job);
  return found == state_->last_steps.end() ? std::nullopt : std::optional(found->second);
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

int64_t LogWriter::EndStep(const std::string& job, int64_t step, int64_t time_ms, bool even_empty) {
  State& state = *state_;
  std::string body = std::exchange(state.body, {});
  int64_t rows = std::exchange(state.rows, 0);
  if (auto last = LastStep(job); last && step <= *last) return state.end_offset;
  if (rows == 0 && !even_empty) return state.end_offset;
  MILLRACE_CHECK(job.size() < 65536 && rows < UINT32_MAX);
  if (state.broken) {
    state.file.reset();
    state.files.Truncate(state.path, state.end_offset);
    state.file = state.files.OpenForAppend(state.path);
    state.broken = false;
  }
  Header header{kMagic,
                kVersion,
                static_cast<uint16_t>(job.size()),
                static_cast<uint32_t>(rows),
                0,
                static_cast<int64_t>(body.size()),
                step,
                time_ms};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += job;
  bytes += body;
  uint32_t crc = Crc32(bytes);
  bytes.append(reinterpret_cast<const char*>(&crc), sizeof(crc));
  state.broken = true;
  state.file->Append(bytes);
  state.file->Sync();
  state.broken = false;
  state.last_steps[job] = step;
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
        Found next = Look(*file, path, offset, true);
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
  LogBatch batch = found.batch;
  state.last_steps[batch.job] = batch.step;
  state.offset = batch.next_offset;
  state.found.reset();
  return batch;
}

}  // namespace millrace
