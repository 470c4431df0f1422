#include "session/job_folders.h"

#include "base/error.h"
#include "stream/lake_source.h"

namespace millrace {

namespace {

constexpr const char* kForgotten = ".forgotten-";
constexpr const char* kScript = ".script-";
constexpr size_t kShown = 200;  // Bytes of a script in a message: it may be the text of -e.

std::string Compact(std::string uuid) {
  std::erase(uuid, '-');
  return uuid;
}

// A damaged record or checkpoint, or one of another release, owes nothing that we could tell.
bool IsUnreadable(const Error& error) {
  return error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kUnsupported;
}

void RefuseChanged(const std::string& id, const JobRecord& there, const JobRecord& wanted) {
  if (there.statement == wanted.statement) return;
  Throw(ErrorCode::kInvalid,
        "Resuming job '{}': its statement has changed. It was:\n{}\nand is:\n{}\n"
        "Start over with --fresh, or SET another 'pipeline.name'",
        id, there.statement, wanted.statement);
}

}  // namespace

// FNV-1a.
std::string StableHash(const std::string& text) {
  uint64_t hash = 14695981039346656037ULL;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
  return fmt::format("{:016x}", hash);
}

JobFolders::JobFolders(Environment& environment, const std::string& data_folder,
                       const std::string& script, bool fresh)
    : environment_(environment),
      tables_{environment.files, environment.clock, environment.random, environment.database},
      folder_(JoinPath(data_folder, "jobs")),
      script_(script),
      key_(script.empty() ? "" : StableHash(script)),
      fresh_(fresh) {}

JobFolders::~JobFolders() {
  if (!ended_ || !lease_) return;
  try {
    environment_.files.Delete(RunPath());
    environment_.files.Delete(RunPath() + ".lock");
  } catch (const Error&) {
    // They say no more than nothing would.
  }
}

std::string JobFolders::Path(const std::string& id) const {
  return JoinPath(folder_, id);
}

std::string JobFolders::RunPath() const {
  return JoinPath(folder_, kScript + key_);
}

void JobFolders::BeginScript() {
  ended_ = false;
  if (!run_.empty()) return;
  FileSystem& files = environment_.files;
  std::string run = environment_.random.Uuid();
  if (!script_.empty()) {
    files.MakeFolder(folder_);
    lease_ = FileLock::TryAcquire(RunPath() + ".lock");
    if (!lease_) {
      Throw(ErrorCode::kConflict,
            "Running '{}': another process runs the same script over the data folder '{}'; wait "
            "for it or stop it, or choose another folder with --data",
            script_.substr(0, kShown), folder_.substr(0, folder_.rfind('/')));
    }
    if (fresh_ || files.CreateExclusive(RunPath(), run) == CreateOutcome::kExists) {
      if (fresh_) files.Overwrite(RunPath(), run);
      run = files.Read(RunPath());
    }
  }
  run_ = key_ + "/" + run;
  SettleScript();
}

// Of the script's jobs, those that no run of it would ask for again go, and the others leave no
// reader waiting for them.
void JobFolders::SettleScript() {
  for (const FileEntry& entry : environment_.files.List(folder_)) {
    if (entry.name.starts_with(kForgotten)) {
      environment_.files.DeleteFolder(JoinPath(folder_, entry.name));
    }
    if (!entry.is_folder || entry.name.starts_with(".") || script_.empty()) continue;
    auto folder = std::make_unique<JobFolder>(environment_.files, Path(entry.name));
    try {
      auto record = folder->Record();
      if (!record || record->script != key_ || !folder->TryLock()) continue;
      auto checkpoint = folder->Latest();
      bool ended = checkpoint && checkpoint->finished && checkpoint->run != run_;
      if (ended || (fresh_ && !record->named)) {
        Forget(std::move(folder));
      } else {
        SettleJob(tables_, *folder, *record, Settlement::kPause);
      }
    } catch (const Error& error) {
      if (!IsUnreadable(error)) throw;  // Whoever wants this job is told.
    }
  }
}

std::unique_ptr<JobFolder> JobFolders::Open(const std::string& id, const JobRecord& wanted) {
  BeginScript();
  bool start_over = fresh_ && started_.insert(id).second;
  for (;; start_over = false) {
    auto folder = std::make_unique<JobFolder>(environment_.files, Path(id));
    folder->Lock();
    if (!start_over) {
      auto record = folder->Record();
      if (!record) {
        JobRecord made = wanted;
        made.script = key_;
        made.user += "-" + Compact(environment_.random.Uuid());
        folder->WriteRecord(made);
        return folder;
      }
      if (CanGoOn(*folder, *record)) {
        RefuseChanged(id, *record, wanted);
        return folder;
      }
    }
    Forget(std::move(folder));
  }
}

bool JobFolders::IsWritten(const JobTarget& target) {
  BeginScript();
  for (const FileEntry& entry : environment_.files.List(folder_)) {
    if (!entry.is_folder || entry.name.starts_with(".") || script_.empty()) continue;
    JobFolder folder(environment_.files, Path(entry.name));
    auto record = folder.Record();
    if (!record || record->script != key_) continue;
    for (const JobTarget& other : record->targets) {
      if (other.identity == target.identity) return CanGoOn(folder, *record);
    }
  }
  return false;
}

std::unique_ptr<JobFolder> JobFolders::Peek(const std::string& id) const {
  if (!environment_.files.Exists(Path(id))) return nullptr;
  return std::make_unique<JobFolder>(environment_.files, Path(id));
}

std::map<std::string, JobRecord> JobFolders::WritersOf(const JobTarget& target) const {
  std::map<std::string, JobRecord> writers;
  if (!environment_.files.Exists(folder_)) return writers;
  for (const FileEntry& entry : environment_.files.List(folder_)) {
    if (!entry.is_folder || entry.name.starts_with(".")) continue;
    try {
      auto record = JobFolder(environment_.files, Path(entry.name)).Record();
      if (!record || record->batch) continue;
      for (const JobTarget& other : record->targets) {
        if (other.identity == target.identity) writers[entry.name] = *record;
      }
    } catch (const Error& error) {
      if (!IsUnreadable(error)) throw;  // Whoever wants that job is told.
    }
  }
  return writers;
}

// Whether there is something to go on with: not when nothing has been shown yet, when it came to
// its end in another run, or when its tables are gone.
bool JobFolders::CanGoOn(const JobFolder& folder, const JobRecord& record) const {
  auto checkpoint = folder.Latest();
  if (!checkpoint && folder.Journal(std::nullopt).empty()) return false;
  if (checkpoint && checkpoint->finished && checkpoint->run != run_) return false;
  std::string lost;
  bool kept = false;
  for (const JobTarget& target : record.targets) {
    bool there = target.table.empty() ||
                 LakeTableIdentity(environment_.files, target.table) == target.identity;
    kept = kept || there;
    if (!there) lost = target.table;
  }
  if (lost.empty()) return true;
  if (!kept) return false;
  Throw(ErrorCode::kInvalid,
        "Resuming the job in '{}': table '{}', which it writes, was dropped and made anew, but the "
        "others were not; start over with --fresh",
        folder.path(), lost);
}

void JobFolders::Forget(std::unique_ptr<JobFolder> folder) {
  try {
    auto record = folder->Record();
    if (record) {
      SettleJob(tables_, *folder, *record, Settlement::kForGood);
    }
  } catch (const Error& error) {
    if (!IsUnreadable(error)) throw;
  }
  Delete(std::move(folder));
}

// By a rename, so that it goes as a whole.
void JobFolders::Delete(std::unique_ptr<JobFolder> folder) {
  std::string forgotten = JoinPath(folder_, kForgotten + environment_.random.Uuid());
  environment_.files.Rename(folder->path(), forgotten);
  environment_.files.DeleteFolder(forgotten);
}

void JobFolders::EndScript(const std::vector<std::string>& finished) {
  if (run_.empty()) return;
  std::string run = environment_.random.Uuid();
  if (!script_.empty()) environment_.files.Overwrite(RunPath(), run);
  std::string ended = std::exchange(run_, key_ + "/" + run);
  ended_ = true;
  for (const std::string& id : finished) {
    auto folder = std::make_unique<JobFolder>(environment_.files, Path(id));
    if (!folder->TryLock()) continue;  // Another script has taken its name over.
    auto checkpoint = folder->Latest();
    if (checkpoint && checkpoint->finished && checkpoint->run == ended) Forget(std::move(folder));
  }
}

}  // namespace millrace
