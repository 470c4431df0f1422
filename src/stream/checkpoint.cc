#include "stream/checkpoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/bytes.h"
#include "base/error.h"
#include "stream/state_format.h"

namespace millrace {

namespace {

constexpr int kFormatVersion = 2;
constexpr const char* kRecordFile = "job.json";
constexpr const char* kMetadataFile = "metadata.json";
constexpr const char* kCommittedFile = "committed";

class FileStateInput : public StateInput {
 public:
  explicit FileStateInput(std::shared_ptr<RandomAccessFile> file) : file_(std::move(file)) {}
  size_t Read(char* buffer, size_t size) override {
    auto length = std::min(static_cast<int64_t>(size), file_->Size() - at_);
    file_->ReadAt(at_, buffer, length);
    at_ += length;
    return static_cast<size_t>(length);
  }
  void Skip(size_t size) override {
    at_ = std::min(at_ + static_cast<int64_t>(size), file_->Size());
  }
  std::unique_ptr<StateInput> Again() const override {
    return std::make_unique<FileStateInput>(file_);
  }

 private:
  const std::shared_ptr<RandomAccessFile> file_;
  int64_t at_ = 0;
};

std::optional<int64_t> JournalIdOf(const FileEntry& entry) {
  constexpr std::string_view kPrefix = "journal-";
  if (!entry.name.starts_with(kPrefix)) return std::nullopt;
  return std::strtoll(entry.name.c_str() + kPrefix.size(), nullptr, 10);
}

std::string PieceName(idx_t pipeline, const std::string& key) {
  return fmt::format("pipeline-{}-{}", pipeline, key);
}

}  // namespace

// Small pieces, which most are, are written when they are whole, and synced together.
class JobFolder::FolderState : public CheckpointState {
 public:
  FolderState(JobFolder& folder, int64_t id, idx_t pipeline, StatePieces pieces)
      : folder_(folder), id_(id), pipeline_(pipeline), pieces_(std::move(pieces)) {}

  void Begin(const std::string& key, bool follows) override {
    open_[key] = {};
    if (!follows) pieces_[key].clear();
    pieces_[key].push_back(id_);
  }
  void Append(const std::string& key, std::string_view bytes) override {
    Piece& piece = open_.at(key);
    if (!piece.file && piece.bytes.size() + bytes.size() > kSmallPiece) {
      piece.file = folder_.files_.OpenForWrite(PathOf(id_, key));
      piece.file->Append(piece.bytes);
      piece.bytes = {};
    }
    piece.file ? piece.file->Append(bytes) : (void)piece.bytes.append(bytes);
  }
  void Close(const std::string& key) override {
    Piece& piece = open_.at(key);
    if (piece.file) {
      folder_.unsynced_files_.push_back(std::move(piece.file));
    } else {
      folder_.files_.WriteUnsynced(PathOf(id_, key), piece.bytes);
      folder_.unsynced_paths_.push_back(PathOf(id_, key));
    }
    open_.erase(key);
  }
  std::vector<std::unique_ptr<StateInput>> Open(const std::string& key) override {
    std::vector<std::unique_ptr<StateInput>> inputs;
    auto found = pieces_.find(key);
    if (found == pieces_.end()) return inputs;
    for (int64_t id : found->second) {
      auto file = folder_.files_.OpenForRead(PathOf(id, key));
      inputs.push_back(std::make_unique<FileStateInput>(std::move(file)));
    }
    return inputs;
  }
  const StatePieces& Pieces() const override { return pieces_; }

 private:
  static constexpr size_t kSmallPiece = 256 * 1024;
  struct Piece {
    std::string bytes;  // Until there is a file.
    std::unique_ptr<WritableFile> file;
  };

  std::string PathOf(int64_t id, const std::string& key) const {
    return JoinPath(folder_.CheckpointFolder(id), PieceName(pipeline_, key));
  }

  JobFolder& folder_;
  const int64_t id_;
  const idx_t pipeline_;
  StatePieces pieces_;
  std::map<std::string, Piece> open_;
};

namespace {

// {"content": ..., "crc32": of the content as it is printed without blanks}.
std::string Seal(const nlohmann::json& content, int indent) {
  nlohmann::json sealed = {{"content", content}, {"crc32", Crc32(content.dump())}};
  return sealed.dump(indent);
}

/// Throws nlohmann's exceptions.
nlohmann::json Unseal(std::string_view text) {
  nlohmann::json sealed = nlohmann::json::parse(text);
  nlohmann::json content = sealed.at("content");
  if (sealed.at("crc32").get<uint32_t>() == Crc32(content.dump())) return content;
  throw nlohmann::json::other_error::create(500, "its checksum is wrong", &sealed);
}

std::string ToJson(const Checkpoint& checkpoint) {
  nlohmann::json json = {{"version", kFormatVersion},
                         {"id", checkpoint.id},
                         {"step", checkpoint.step},
                         {"cut", checkpoint.cut},
                         {"fingerprints", checkpoint.fingerprints},
                         {"prepared", checkpoint.prepared},
                         {"state", checkpoint.state},
                         {"input_types", checkpoint.input_types},
                         {"finished", checkpoint.finished},
                         {"run", checkpoint.run}};
  return Seal(json, 2);
}

void CheckVersion(const nlohmann::json& json, const std::string& path) {
  if (json.at("version").get<int>() == kFormatVersion) return;
  Throw(ErrorCode::kUnsupported,
        "Reading '{}': version {} is not known; run the release that wrote it, or start over with "
        "--fresh",
        path, json.at("version").dump());
}

Checkpoint FromJson(const std::string& text, const std::string& path) {
  try {
    nlohmann::json json = Unseal(text);
    CheckVersion(json, path);
    Checkpoint checkpoint;
    checkpoint.id = json.at("id");
    checkpoint.step = json.at("step");
    checkpoint.cut = json.at("cut").get<Cut>();
    checkpoint.fingerprints = json.at("fingerprints").get<std::vector<std::string>>();
    checkpoint.prepared = json.at("prepared").get<std::vector<std::string>>();
    checkpoint.state = json.at("state").get<std::vector<StatePieces>>();
    checkpoint.input_types = json.at("input_types").get<std::vector<std::vector<ChangelogType>>>();
    checkpoint.finished = json.at("finished");
    checkpoint.run = json.at("run");
    return checkpoint;
  } catch (const nlohmann::json::exception& error) {
    Throw(ErrorCode::kCorrupt, "Reading checkpoint '{}': {}; start over with --fresh", path,
          error.what());
  }
}

nlohmann::json RecordToJson(const JobRecord& record) {
  nlohmann::json targets = nlohmann::json::array();
  for (const JobTarget& target : record.targets) {
    targets.push_back(
        {{"table", target.table}, {"identity", target.identity}, {"logged", target.logged}});
  }
  nlohmann::json views = nlohmann::json::array();
  for (const ObjectPath& view : record.views) {
    views.push_back({view.catalog, view.database, view.name});
  }
  return {{"version", kFormatVersion},
          {"user", record.user},
          {"script", record.script},
          {"statement", record.statement},
          {"named", record.named},
          {"batch", record.batch},
          {"catalog", record.catalog},
          {"database", record.database},
          {"shards", record.shards},
          {"targets", targets},
          {"views", views}};
}

JobRecord RecordFromJson(const std::string& text, const std::string& path) {
  try {
    nlohmann::json json = Unseal(text);
    CheckVersion(json, path);
    JobRecord record;
    record.user = json.at("user");
    record.script = json.at("script");
    record.statement = json.at("statement");
    record.named = json.at("named");
    record.batch = json.at("batch");
    record.catalog = json.value("catalog", "");
    record.database = json.value("database", "");
    record.shards = json.value("shards", idx_t(1));  // Records of earlier builds: one.
    for (const nlohmann::json& target : json.at("targets")) {
      record.targets.push_back(
          {target.at("table"), target.at("identity"), target.value("logged", false)});
    }
    for (const nlohmann::json& view : json.value("views", nlohmann::json::array())) {
      record.views.push_back({view.at(0), view.at(1), view.at(2)});
    }
    return record;
  } catch (const nlohmann::json::exception& error) {
    Throw(ErrorCode::kCorrupt, "Reading '{}': {}; start the job over with --fresh", path,
          error.what());
  }
}

}  // namespace

std::string SinkUser(const std::string& job_user, idx_t pipeline) {
  return pipeline == 0 ? job_user : fmt::format("{}.{}", job_user, pipeline);
}

JobFolder::JobFolder(FileSystem& files, std::string folder)
    : files_(files), folder_(std::move(folder)) {
  files_.MakeFolder(folder_);
}

JobFolder::~JobFolder() = default;

bool JobFolder::TryLock() {
  constexpr int kAttempts = 5;
  for (int attempt = 1;; attempt++) {
    try {
      files_.MakeFolder(folder_);
      lock_ = FileLock::TryAcquire(JoinPath(folder_, "lock"));
      return lock_ != nullptr;
    } catch (const Error&) {
      // Its last owner may have renamed the folder away between the two.
      if (attempt == kAttempts) throw;
    }
  }
}

void JobFolder::Lock() {
  if (TryLock()) return;
  Throw(ErrorCode::kConflict,
        "Starting the job in '{}': another process runs it; stop that one, or "
        "SET 'pipeline.name' to run a second job",
        folder_);
}

std::optional<JobRecord> JobFolder::Record() const {
  std::string path = JoinPath(folder_, kRecordFile);
  if (!files_.Exists(path)) return std::nullopt;
  return RecordFromJson(files_.Read(path), path);
}

void JobFolder::WriteRecord(const JobRecord& record) {
  std::string path = JoinPath(folder_, kRecordFile);
  if (files_.CreateExclusive(path, Seal(RecordToJson(record), 2)) == CreateOutcome::kCreated)
    return;
  Throw(ErrorCode::kConflict, "Starting the job in '{}': another process has made it", folder_);
}

std::string JobFolder::CheckpointFolder(int64_t id) const {
  return JoinPath(folder_, fmt::format("checkpoint-{}", id));
}

std::string JobFolder::JournalPath(int64_t id) const {
  return JoinPath(folder_, fmt::format("journal-{}", id));
}

std::vector<int64_t> JobFolder::Retained() const {
  std::vector<int64_t> ids;
  for (const FileEntry& entry : files_.List(folder_)) {
    if (!entry.name.starts_with("checkpoint-")) continue;
    int64_t id = std::strtoll(entry.name.c_str() + 11, nullptr, 10);
    if (files_.Exists(JoinPath(CheckpointFolder(id), kMetadataFile))) ids.push_back(id);
  }
  std::sort(ids.rbegin(), ids.rend());
  return ids;
}

Checkpoint JobFolder::Read(int64_t id) const {
  std::string path = JoinPath(CheckpointFolder(id), kMetadataFile);
  return FromJson(files_.Read(path), path);
}

std::optional<Checkpoint> JobFolder::Latest() const {
  std::vector<int64_t> ids = Retained();
  if (ids.empty()) return std::nullopt;
  return Read(ids[0]);
}

std::string JobFolder::FindDamage(const Checkpoint& checkpoint) const {
  for (idx_t p = 0; p < checkpoint.state.size(); p++) {
    for (const auto& [key, ids] : checkpoint.state[p]) {
      for (int64_t id : ids) {
        std::string path = JoinPath(CheckpointFolder(id), PieceName(p, key));
        if (!files_.Exists(path)) return fmt::format("'{}' is missing", path);
        FileStateInput input(files_.OpenForRead(path));
        std::string damage = FindStateDamage(input);
        if (!damage.empty()) return fmt::format("'{}': {}", path, damage);
      }
    }
  }
  return "";
}

std::vector<int64_t> JobFolder::JournalsFrom(int64_t id) const {
  std::vector<int64_t> ids;
  for (const FileEntry& entry : files_.List(folder_)) {
    if (auto found = JournalIdOf(entry); found && *found >= id) ids.push_back(*found);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<JournalStep> JobFolder::Journal(const std::optional<Checkpoint>& after) const {
  std::vector<JournalStep> steps;
  for (int64_t id : JournalsFrom(after ? after->id : 0)) {
    std::string text = files_.Read(JournalPath(id));
    size_t start = 0;
    for (size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
      try {
        nlohmann::json json = Unseal(std::string_view(text).substr(start, end - start));
        JournalStep step{json.at("step"), json.at("cut").get<Cut>(), json.value("rows", idx_t(0)),
                         json.value("reads", std::vector<Cut>())};
        if (!after || step.step > after->step) steps.push_back(std::move(step));
      } catch (const nlohmann::json::exception& error) {
        Throw(ErrorCode::kCorrupt,
              "Reading the step journal '{}': the step at byte {} is damaged: {}; start over with "
              "--fresh",
              JournalPath(id), start, error.what());
      }
    }
  }
  return steps;
}

std::unique_ptr<CheckpointState> JobFolder::State(int64_t id, idx_t pipeline, StatePieces pieces) {
  return std::make_unique<FolderState>(*this, id, pipeline, std::move(pieces));
}

void JobFolder::SyncState() {
  files_.SyncFiles(std::exchange(unsynced_paths_, {}));
  for (auto& file : std::exchange(unsynced_files_, {})) file->Close();
}

void JobFolder::Publish(const Checkpoint& checkpoint, int64_t retained) {
  SyncState();
  std::string path = JoinPath(CheckpointFolder(checkpoint.id), kMetadataFile);
  if (files_.CreateExclusive(path, ToJson(checkpoint)) == CreateOutcome::kExists) {
    Throw(ErrorCode::kConflict,
          "Publishing checkpoint '{}': it exists; does another process run "
          "this job?",
          path);
  }
  ForgetOthers(checkpoint, retained);
}

void JobFolder::ForgetOthers(const Checkpoint& checkpoint, int64_t retained) {
  std::map<int64_t, std::set<std::string>> needed;  // By older checkpoint.
  auto need = [&](const Checkpoint& kept) {
    for (idx_t p = 0; p < kept.state.size(); p++) {
      for (const auto& [key, ids] : kept.state[p]) {
        for (int64_t id : ids) needed[id].insert(PieceName(p, key));
      }
    }
  };
  need(checkpoint);
  std::vector<int64_t> ids = Retained();
  for (int64_t i = 1; i < std::min<int64_t>(retained, std::ssize(ids)); i++) {
    try {
      need(Read(ids[i]));
      needed[ids[i]].insert({kMetadataFile, kCommittedFile});
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCorrupt) throw;  // A damaged one is none.
    }
  }
  for (const FileEntry& entry : files_.List(folder_)) {
    std::string path = JoinPath(folder_, entry.name);
    if (entry.name.starts_with("checkpoint-")) {
      int64_t id = std::strtoll(entry.name.c_str() + 11, nullptr, 10);
      if (id == checkpoint.id) continue;
      auto kept = needed.find(id);
      if (kept == needed.end()) {
        files_.DeleteFolder(path);
        continue;
      }
      for (const FileEntry& file : files_.List(path)) {
        if (!kept->second.contains(file.name)) files_.Delete(JoinPath(path, file.name));
      }
    } else if (JournalIdOf(entry).value_or(checkpoint.id) < checkpoint.id) {
      files_.Delete(path);
    }
  }
}

void JobFolder::StartJournal(int64_t id) {
  journal_.reset();
  journal_id_ = id;
}

void JobFolder::AppendJournal(const JournalStep& step) {
  if (!journal_) {
    if (!journal_id_) {
      std::vector<int64_t> retained = Retained(), there = JournalsFrom(0);
      journal_id_ = std::max(retained.empty() ? 0 : retained[0], there.empty() ? 0 : there.back());
    }
    // A torn line at the end was never acknowledged: cut it before going on.
    std::string path = JournalPath(*journal_id_);
    if (files_.Exists(path)) {
      std::string text = files_.Read(path);
      size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
      if (whole < text.size()) files_.Truncate(path, static_cast<int64_t>(whole));
    }
    journal_ = files_.OpenForAppend(path);
  }
  nlohmann::json json = {{"step", step.step}, {"cut", step.cut}};
  if (step.wanted_rows > 0) json["rows"] = step.wanted_rows;
  if (!step.reads.empty()) json["reads"] = step.reads;
  journal_->Append(Seal(json, -1) + "\n");
  journal_->Sync();
}

void JobFolder::MarkCommitted(int64_t id) {
  (void)(files_.CreateExclusive(JoinPath(CheckpointFolder(id), kCommittedFile), "") ==
         CreateOutcome::kCreated);
}

void JobFolder::NoteCommitted(int64_t id) {
  files_.OpenForWrite(JoinPath(CheckpointFolder(id), kCommittedFile));  // Empty, and not synced.
}

bool JobFolder::IsCommitted(int64_t id) const {
  return files_.Exists(JoinPath(CheckpointFolder(id), kCommittedFile));
}

}  // namespace millrace
