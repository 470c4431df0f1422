// slt_runner.h - runs .slt files, each in a fresh session with a fresh folder.
#pragma once

#include <mutex>
#include <sstream>

#include "feed_connector.h"
#include "folder_check.h"
#include "session/session.h"
#include "slt_file.h"

namespace millrace {

/// Makes the session of a file; tests of the runner put a fake in its place.
using SessionFactory =
    std::function<std::unique_ptr<Session>(ConnectorRegistry&, const SessionOptions&)>;

struct SltOptions {
  std::string data_folder;     // ${DATA}
  std::string scratch_folder;  // Each file gets a folder below it: ${TMP}.
  SessionFactory make_session;
  std::function<void(ConnectorRegistry&)> register_connectors;
  std::vector<std::string> settings = {};  // Statements that open every session.
};

struct SltOutcome {
  std::string failure;  // "file:line: what" and the difference; empty: passed.
  std::string skipped;  // Why; empty: run.
  int checks = 0;       // Records that compare something.
};

/// Runs one file.
///
/// A failure ends the file: what follows would only repeat it. Threads: one at a time.
class SltRunner {
 public:
  SltRunner(std::string path, const SltOptions& options);
  ~SltRunner();
  SltOutcome Run();
  /// "file:line" that runs now, for a watchdog. Any thread.
  std::string Where() const;

 private:
  struct Stream {
    std::string sql;
    std::unique_ptr<ResultStream> rows;  // Null after its end.
    std::vector<ChangeRow> changes;
    size_t shown = 0;  // Changes that `changes` has compared.
    std::string types;
  };

  void OpenSession();
  void CheckTables(SltOutcome& outcome);
  void RunRecord(const Record& record);
  StatementResult Execute(const std::string& sql);
  void ExecuteAll(const std::string& sql, bool remember);
  std::vector<TextRow> QueryRows(const std::string& sql, std::string& types, bool& is_query);
  std::vector<ChangeRow> StreamOnce(const std::string& sql);
  void Drain(Stream& stream);
  void RunError(const Record& record);
  void RunQuery(const Record& record);
  void RunCount(const Record& record);
  void RunShows(const Record& record);
  void StartStream(const Record& record);
  void Feed(const Record& record);
  void CompareChanges(const Record& record);
  void CompareWithBatch(const Record& record);
  void RunOnFiles(const Record& record);
  void ComparePrinted(const Record& record);
  void ExpectFailure(const Record& record);
  void RoundTrip(const Record& record);
  std::vector<TextRow> BatchRows(const std::string& sql, std::string& types);
  void Restart();
  void Settle();
  std::vector<ChangeRow> ChangesOf(const std::string& name, size_t*& shown);

  std::string path_;
  const SltOptions& options_;
  std::string folder_;
  SltFile file_;
  std::unique_ptr<FeedHistory> history_;
  std::unique_ptr<ConnectorRegistry> connectors_;
  std::unique_ptr<Session> session_;
  std::ostringstream printed_;
  std::map<std::string, FolderContent> remembered_;  // By folder.
  std::map<std::string, Stream> streams_;
  std::map<std::string, size_t> shown_of_target_;
  struct InsertQuery {
    std::string target;  // As written.
    std::string query;
  };
  std::map<std::string, InsertQuery> insert_queries_;  // By the last part of the target's name.
  struct Remembered {
    std::string sql;
    std::string mode;
  };
  std::vector<Remembered> to_replay_;  // What a restart executes again.
  int checks_ = 0;
  bool damaged_ = false;  // On purpose.
  mutable std::mutex mutex_;
  std::string where_;
};

}  // namespace millrace
