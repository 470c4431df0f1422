// job_folders.h - the folders of the jobs in a data folder: whose they are, and how they go.
//
// A script that is started again goes on with its jobs' folders, so they may go only all at once:
// the end of a script is one file, `<data>/jobs/.ended-<uuid>`, that names them; from then on they
// count as gone, and are deleted at leisure, by this process or the next. A single folder goes by a
// rename. Docs: docs/internals/jobs.md.
#pragma once

#include "io/file_lock.h"
#include "stream/connector.h"

namespace millrace {

/// Threads: owned by its session. Throws: Error(kIo) naming the file.
class JobFolders {
 public:
  JobFolders(Environment& environment, std::string data_folder);

  std::string Path(const std::string& id) const;
  /// Makes the folder if need be. The commit user of the job's sinks, `<name>-<incarnation>`:
  /// stable over restarts, another one after a fresh start.
  std::string CommitUser(const std::string& id, const std::string& name);
  /// Forgets a job; `before` may still use its folder. Error(kConflict) when it runs elsewhere.
  void Forget(const std::string& id, const std::function<void()>& before = {});
  /// A script has ended whose jobs had these ids: its next run is a new one.
  void EndScript(const std::vector<std::string>& ids);
  /// Deletes what scripts that have ended left behind. Before the first use of any folder.
  void DeleteEnded();

 private:
  std::string Incarnation(const std::string& id) const;
  void Delete(const std::string& id, std::unique_ptr<FileLock> lease);

  Environment& environment_;
  const std::string folder_;  // <data>/jobs
};

}  // namespace millrace
