#include "stream/checkpoint.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace millrace {

namespace {

constexpr int kFormatVersion = 1;

class FolderStateStore : public StateStore {
 public:
  FolderStateStore(FileSystem& files, std::string prefix)
      : files_(files), prefix_(std::move(prefix)) {}

  void Append(const std::string& key, std::string_view bytes) override {
    auto& file = open_[key];
    if (!file) file = files_.OpenForWrite(prefix_ + key);
    file->Append(bytes);
  }
  void Close(const std::string& key) override {
    open_.at(key)->Close();
    open_.erase(key);
  }
  std::optional<std::string> Get(const std::string& key) override {
    if (!files_.Exists(prefix_ + key)) return std::nullopt;
    return files_.Read(prefix_ + key);
  }

 private:
  FileSystem& files_;
  const std::string prefix_;
  std::map<std::string, std::unique_ptr<WritableFile>> open_;
};

std::string ToJson(const Checkpoint& checkpoint) {
  nlohmann::json json = {{"version", kFormatVersion},
                         {"id", checkpoint.id},
                         {"step", checkpoint.step},
                         {"cut", checkpoint.cut},
                         {"fingerprints", checkpoint.fingerprints},
                         {"prepared", checkpoint.prepared},
                         {"input_types", checkpoint.input_types},
                         {"statement", checkpoint.statement},
                         {"finished", checkpoint.finished}};
  return json.dump(2);
}

Checkpoint FromJson(const std::string& text, const std::string& path) {
  try {
    nlohmann::json json = nlohmann::json::parse(text);
    if (json.at("version").get<int>() != kFormatVersion) {
      Throw(ErrorCode::kUnsupported,
            "Reading checkpoint '{}': version {} is not known; run the "
            "release that wrote it, or start over with --fresh",
            path, json.at("version").dump());
    }
    Checkpoint checkpoint;
    checkpoint.id = json.at("id");
    checkpoint.step = json.at("step");
    checkpoint.cut = json.at("cut").get<Cut>();
    checkpoint.fingerprints = json.at("fingerprints").get<std::vector<std::string>>();
    checkpoint.prepared = json.at("prepared").get<std::vector<std::string>>();
    checkpoint.input_types = json.at("input_types").get<std::vector<std::vector<ChangelogType>>>();
    checkpoint.statement = json.at("statement");
    checkpoint.finished = json.at("finished");
    return checkpoint;
  } catch (const nlohmann::json::exception& error) {
    Throw(ErrorCode::kCorrupt, "Reading checkpoint '{}': {}", path, error.what());
  }
}

}  // namespace

JobFolder::JobFolder(FileSystem& files, std::string folder)
    : files_(files), folder_(std::move(folder)) {
  files_.MakeFolder(folder_);
}

JobFolder::~JobFolder() = default;

void JobFolder::Lock() {
  lock_ = FileLock::TryAcquire(JoinPath(folder_, "lock"));
  if (!lock_) {
    Throw(ErrorCode::kConflict,
          "Starting the job in '{}': another process runs it; stop that one, or "
          "SET 'pipeline.name' to run a second job",
          folder_);
  }
}

std::string JobFolder::CheckpointFolder(int64_t id) const {
  return JoinPath(folder_, fmt::format("checkpoint-{}", id));
}

std::string JobFolder::JournalPath(int64_t id) const {
  return JoinPath(folder_, fmt::format("journal-{}", id));
}

std::optional<Checkpoint> JobFolder::Latest() const {
  int64_t newest = 0;
  for (const FileEntry& entry : files_.List(folder_)) {
    if (!entry.name.starts_with("checkpoint-")) continue;
    int64_t id = std::strtoll(entry.name.c_str() + 11, nullptr, 10);
    if (id > newest && files_.Exists(JoinPath(CheckpointFolder(id), "metadata.json"))) newest = id;
  }
  if (newest == 0) return std::nullopt;
  std::string path = JoinPath(CheckpointFolder(newest), "metadata.json");
  return FromJson(files_.Read(path), path);
}

std::vector<JournalStep> JobFolder::Journal(int64_t id) const {
  std::vector<JournalStep> steps;
  if (!files_.Exists(JournalPath(id))) return steps;
  std::string text = files_.Read(JournalPath(id));
  size_t start = 0;
  for (size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
    nlohmann::json json = nlohmann::json::parse(text.substr(start, end - start), nullptr, false);
    if (!json.is_object()) {
      Throw(ErrorCode::kCorrupt, "Reading the step journal '{}': byte {} starts no step",
            JournalPath(id), start);
    }
    steps.push_back({json.at("step"), json.at("cut").get<Cut>()});
  }
  return steps;
}

std::unique_ptr<StateStore> JobFolder::State(int64_t id, idx_t pipeline) const {
  return std::make_unique<FolderStateStore>(
      files_, JoinPath(CheckpointFolder(id), fmt::format("pipeline-{}-", pipeline)));
}

void JobFolder::Publish(const Checkpoint& checkpoint) {
  std::string path = JoinPath(CheckpointFolder(checkpoint.id), "metadata.json");
  if (files_.CreateExclusive(path, ToJson(checkpoint)) == CreateOutcome::kExists) {
    Throw(ErrorCode::kConflict,
          "Publishing checkpoint '{}': it exists; does another process run "
          "this job?",
          path);
  }
  journal_.reset();
  newest_ = checkpoint.id;
  for (const FileEntry& entry : files_.List(folder_)) {
    if (entry.name.starts_with("checkpoint-") &&
        std::strtoll(entry.name.c_str() + 11, nullptr, 10) != checkpoint.id) {
      files_.DeleteFolder(JoinPath(folder_, entry.name));
    } else if (entry.name.starts_with("journal-") &&
               std::strtoll(entry.name.c_str() + 8, nullptr, 10) != checkpoint.id) {
      files_.Delete(JoinPath(folder_, entry.name));
    }
  }
}

void JobFolder::AppendJournal(const JournalStep& step) {
  if (!journal_) {
    if (newest_ == 0) {
      auto latest = Latest();
      newest_ = latest ? latest->id : 0;
    }
    // A torn line at the end was never acknowledged: cut it before going on.
    std::string path = JournalPath(newest_);
    if (files_.Exists(path)) {
      std::string text = files_.Read(path);
      size_t whole = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
      if (whole < text.size()) files_.Truncate(path, static_cast<int64_t>(whole));
    }
    journal_ = files_.OpenForAppend(path);
  }
  nlohmann::json json = {{"step", step.step}, {"cut", step.cut}};
  journal_->Append(json.dump() + "\n");
  journal_->Sync();
}

void JobFolder::MarkCommitted(int64_t id) {
  (void)(files_.CreateExclusive(JoinPath(CheckpointFolder(id), "committed"), "") ==
         CreateOutcome::kCreated);
}

void JobFolder::NoteCommitted(int64_t id) {
  files_.OpenForWrite(JoinPath(CheckpointFolder(id), "committed"));  // Empty, and not synced.
}

bool JobFolder::IsCommitted(int64_t id) const {
  return files_.Exists(JoinPath(CheckpointFolder(id), "committed"));
}

}  // namespace millrace
