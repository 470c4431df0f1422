#include "session/job_folders.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace millrace {

namespace {

constexpr const char* kEnded = ".ended-";
constexpr const char* kForgotten = ".forgotten-";

}  // namespace

JobFolders::JobFolders(Environment& environment, std::string data_folder)
    : environment_(environment), folder_(JoinPath(data_folder, "jobs")) {}

std::string JobFolders::Path(const std::string& id) const {
  return JoinPath(folder_, id);
}

std::string JobFolders::Incarnation(const std::string& id) const {
  std::string path = JoinPath(Path(id), "incarnation");
  return environment_.files.Exists(path) ? environment_.files.Read(path) : "";
}

std::string JobFolders::CommitUser(const std::string& id, const std::string& name) {
  std::string path = JoinPath(Path(id), "incarnation");
  std::string fresh = environment_.random.Uuid().substr(0, 8);
  environment_.files.MakeFolder(Path(id));
  (void)(environment_.files.CreateExclusive(path, fresh) == CreateOutcome::kCreated);
  return name + "-" + environment_.files.Read(path);
}

void JobFolders::Forget(const std::string& id, const std::function<void()>& before) {
  if (!environment_.files.Exists(JoinPath(Path(id), "incarnation"))) return;
  auto lease = FileLock::TryAcquire(JoinPath(Path(id), "lock"));
  if (!lease) {
    Throw(ErrorCode::kConflict,
          "Starting the job in '{}' afresh: another process runs it; stop that one first",
          Path(id));
  }
  if (before) before();
  Delete(id, std::move(lease));
}

void JobFolders::EndScript(const std::vector<std::string>& ids) {
  if (ids.empty()) return;
  nlohmann::json json = nlohmann::json::object();
  for (const std::string& id : ids) json[id] = Incarnation(id);
  std::string path = JoinPath(folder_, kEnded + environment_.random.Uuid());
  (void)(environment_.files.CreateExclusive(path, json.dump()) == CreateOutcome::kCreated);
  DeleteEnded();
}

void JobFolders::DeleteEnded() {
  for (const FileEntry& entry : environment_.files.List(folder_)) {
    std::string path = JoinPath(folder_, entry.name);
    if (entry.name.starts_with(kForgotten)) environment_.files.DeleteFolder(path);
    if (!entry.name.starts_with(kEnded)) continue;
    std::string text;
    try {
      text = environment_.files.Read(path);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
      continue;  // Another process was faster.
    }
    nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_object()) {
      Throw(ErrorCode::kCorrupt,
            "Reading '{}', which names the jobs of a script that has ended: "
            "it is damaged",
            path);
    }
    bool all = true;
    for (const auto& [id, incarnation] : json.items()) {
      if (Incarnation(id) != incarnation.get<std::string>()) continue;  // Gone, or a new one.
      auto lease = FileLock::TryAcquire(JoinPath(Path(id), "lock"));
      all = all && lease;
      if (lease) Delete(id, std::move(lease));
    }
    if (all) environment_.files.Delete(path);
  }
}

void JobFolders::Delete(const std::string& id, std::unique_ptr<FileLock> lease) {
  std::string forgotten = JoinPath(folder_, kForgotten + environment_.random.Uuid());
  environment_.files.Rename(Path(id), forgotten);
  environment_.files.DeleteFolder(forgotten);
  lease.reset();
}

}  // namespace millrace
