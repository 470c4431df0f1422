// job_folders.h - the folders of the jobs in a data folder: whose they are, and how they go.
//
// A script that was killed goes on with its jobs' folders when it runs again; a script that has
// ended starts anew. The two are told apart by one file per script, `<data>/jobs/.script-<key>`,
// which names the script's *run* and is replaced at its end: jobs that finished in another run
// count as gone, all at once, and are deleted at leisure. Docs: docs/internals/jobs.md.
#pragma once

#include <set>

#include "stream/checkpoint.h"
#include "stream/connector.h"
#include "stream/job_settlement.h"

namespace millrace {

/// Hash of a text, the same in every run and release.
std::string StableHash(const std::string& text);

/// Threads: owned by its session. Throws: Error(kIo) naming the file.
class JobFolders {
 public:
  /// `script` tells this script from others; "" in the shell. `fresh`: the script's jobs start
  /// over.
  JobFolders(Environment& environment, const std::string& data_folder, const std::string& script,
             bool fresh);
  ~JobFolders();

  /// The folder of job `id`, locked, with a record: that which is there, when the job can go on, or
  /// else a new one of `wanted`, whose user gets `wanted.user` for a beginning.
  /// Throws: Error(kConflict) when another process runs the job or the script; Error(kInvalid) when
  /// the job's statement has changed or some of its tables were made anew.
  std::unique_ptr<JobFolder> Open(const std::string& id, const JobRecord& wanted);
  /// Whether a job of this script that goes on writes this making of a table.
  bool IsWritten(const JobTarget& target);
  /// The folder of job `id`, to read only; nullptr when there is none.
  std::unique_ptr<JobFolder> Peek(const std::string& id) const;
  /// The jobs in streaming mode that write this making of a table, of any script, by their ids.
  std::map<std::string, JobRecord> WritersOf(const JobTarget& target) const;
  /// Which run of the script this is. After Open.
  const std::string& run() const { return run_; }
  /// The script has ended: its next run is a new one. `finished`: the ids of its finished jobs,
  /// which are deleted.
  void EndScript(const std::vector<std::string>& finished);

 private:
  std::string Path(const std::string& id) const;
  std::string RunPath() const;
  void BeginScript();
  void SettleScript();
  bool CanGoOn(const JobFolder& folder, const JobRecord& record) const;
  void Forget(std::unique_ptr<JobFolder> folder);
  void Delete(std::unique_ptr<JobFolder> folder);

  Environment& environment_;
  const TableContext tables_;
  const std::string folder_;  // <data>/jobs
  const std::string script_;  // As it was given.
  const std::string key_;     // Its hash; "" in the shell.
  const bool fresh_;
  std::set<std::string> started_;  // Jobs of this session: `fresh_` concerns those before.
  std::unique_ptr<FileLock> lease_;
  std::string run_;
  bool ended_ = false;  // Nothing was opened since EndScript.
};

}  // namespace millrace
