// checkpoint.h - what a job leaves on disk: checkpoints, and the journal of steps since the newest
// one.
//
// A checkpoint is a step boundary at which the cut, the operators' state and what sinks have
// prepared are written together; its metadata file appears last and whole, and makes it exist. The
// journal says with which cut each later step ended, before that step's output was visible
// anywhere: recovery replays the same steps. Layout: docs/internals/jobs.md.
#pragma once

#include "io/file_lock.h"
#include "io/file_system.h"
#include "stream/dataflow.h"

namespace millrace {

/// Where the pieces of a pipeline's state lie: by key the checkpoints in whose folders they are,
/// oldest first.
using StatePieces = std::map<std::string, std::vector<int64_t>>;

/// The state of one pipeline in a checkpoint's folder (and in those of older ones).
class CheckpointState : public StateStore {
 public:
  virtual const StatePieces& Pieces() const = 0;
};

/// One position per source, in the order of the job's sources.
using Cut = std::vector<std::string>;

/// A table that a job writes.
struct JobTarget {
  std::string table;     // The folder of a lake table; "" for a connector's.
  std::string identity;  // Which making of it (LakeTableIdentity).
  bool logged = false;   // Steps are shown in its log.
  bool operator==(const JobTarget&) const = default;
};

/// What a job is: written when its folder is made, and the same for as long as there is one.
struct JobRecord {
  std::string user;                // Of its commits, of this folder alone: no later one has it.
  std::string script;              // Which script it stands in; "" in the shell.
  std::string statement;           // What it runs, to tell a changed one.
  bool named = false;              // By 'pipeline.name', not after its script and statement.
  bool batch = false;              // An INSERT in batch mode: one commit.
  std::vector<JobTarget> targets;  // One per pipeline.
  std::string catalog, database;   // What unqualified names mean; "" in older folders.
  idx_t shards = 1;                // Of its dataflows, for as long as it lives.
  std::vector<ObjectPath> views;  // Computed once for several targets; those that use others first.
  bool operator==(const JobRecord&) const = default;
};

/// The commit user of one pipeline's sink. Two INSERTs of one statement set may write one table:
/// each commits under its own name.
std::string SinkUser(const std::string& job_user, idx_t pipeline);

struct Checkpoint {
  int64_t id = 0;
  int64_t step = 0;  // The last step it includes.
  Cut cut;
  std::vector<std::string> fingerprints;                // One per pipeline.
  std::vector<std::string> prepared;                    // One per pipeline: Sink::Prepare.
  std::vector<StatePieces> state;                       // One per pipeline.
  std::vector<std::vector<ChangelogType>> input_types;  // Per pipeline, per input.
  bool finished = false;                                // Bounded inputs were read to their end.
  std::string run;  // Of a finished job: in which run of its script it came to its end.
};

struct JournalStep {
  int64_t step = 0;
  Cut cut;
  idx_t wanted_rows = 0;        // As Dataflow::BeginStep was told.
  std::vector<Cut> reads = {};  // Up to which the sources were read before, in parts.
};

/// The folder of one job, `<data>/jobs/<id>`.
/// Threads: owned by its job; while another thread writes a checkpoint (State, SyncState, Publish,
/// Mark- and NoteCommitted) the job may go on with its journal. Throws: Error(kIo, kCorrupt) naming
/// the file.
class JobFolder {
 public:
  JobFolder(FileSystem& files, std::string folder);
  ~JobFolder();

  /// Takes the lease; false when another process runs this job.
  [[nodiscard]] bool TryLock();
  /// Takes the lease. Error(kConflict) when another process runs this job.
  void Lock();
  /// nullopt for a folder that was made and not used.
  std::optional<JobRecord> Record() const;
  void WriteRecord(const JobRecord& record);
  /// The newest whole checkpoint.
  std::optional<Checkpoint> Latest() const;
  /// The ids of those that can be restored, newest first.
  std::vector<int64_t> Retained() const;
  Checkpoint Read(int64_t id) const;
  /// What is wrong with the stored state of a checkpoint, and in which file; "" when it is whole.
  std::string FindDamage(const Checkpoint& checkpoint) const;
  /// Steps after that checkpoint, or all when there is none; a torn last line is no step. They lie
  /// in its journal, and in that of a checkpoint which was never published.
  std::vector<JournalStep> Journal(const std::optional<Checkpoint>& after) const;

  /// Where operators put their state of checkpoint `id`, before Publish, or get it from; `pieces`:
  /// what there is of earlier ones, or of this one. Must not outlive the folder.
  std::unique_ptr<CheckpointState> State(int64_t id, idx_t pipeline, StatePieces pieces);
  /// Makes all pieces durable that were closed since: together, which costs little more than one.
  void SyncState();
  /// Makes the checkpoint exist, with its state, and forgets older ones beyond the newest
  /// `retained`, but for the pieces of state that those name; and journals before its own.
  void Publish(const Checkpoint& checkpoint, int64_t retained = 1);
  /// Everything that checkpoint `id` prepared is committed: no need to ask again.
  void MarkCommitted(int64_t id);
  /// The same, but may be forgotten when the machine goes down: commits are repeated then.
  void NoteCommitted(int64_t id);
  bool IsCommitted(int64_t id) const;
  /// Steps from here on come after checkpoint `id`, which need not exist yet.
  void StartJournal(int64_t id);
  /// Durable when it returns.
  void AppendJournal(const JournalStep& step);
  const std::string& path() const { return folder_; }

 private:
  class FolderState;
  std::string CheckpointFolder(int64_t id) const;
  std::string JournalPath(int64_t id) const;
  /// Of checkpoint `id` and later ones, ascending.
  std::vector<int64_t> JournalsFrom(int64_t id) const;
  void ForgetOthers(const Checkpoint& checkpoint, int64_t retained);

  FileSystem& files_;
  const std::string folder_;
  std::unique_ptr<FileLock> lock_;
  std::vector<std::string> unsynced_paths_;  // Of pieces of state.
  std::vector<std::unique_ptr<WritableFile>> unsynced_files_;
  std::unique_ptr<WritableFile> journal_;
  std::optional<int64_t> journal_id_;  // Not known before the first step.
};

}  // namespace millrace
