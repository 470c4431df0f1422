#include "stream/log_redo.h"

#include <numeric>

#include "base/error.h"
#include "table/changes.h"

namespace millrace {

std::vector<DataType> LogTypes(const Table& table) {
  std::vector<DataType> types;
  for (const DataField& field : table.schema().fields) types.push_back(field.type);
  return types;
}

bool HasLog(const Table& table) {
  auto log = table.options().find("log.system");
  return log != table.options().end() && log->second == "local";
}

int64_t LogOffsetAt(const Table& table, std::optional<Snapshot> snapshot) {
  int64_t id = snapshot ? snapshot->id : 0;
  for (; snapshot; snapshot = table.FindSnapshot(--id)) {
    auto offset = snapshot->log_offsets.find(0);
    if (offset != snapshot->log_offsets.end()) return offset->second;
  }
  if (id == 0) return 0;
  LogReader log(table.context().files, table.folder(), LogTypes(table), 0);
  if (!log.Peek()) return 0;
  Throw(ErrorCode::kNotFound,
        "Table {} has a log, but no snapshot is left that tells how much of it the files include: "
        "other programs have written since. DROP and CREATE the table, or read it without its log "
        "(OPTIONS('log.system'='none')).",
        table.folder());
}

bool IsUnlogged(const Snapshot& snapshot) {
  return !IsNoChange(snapshot) && !snapshot.properties.contains(kUnloggedProperty);
}

std::unique_ptr<LogWriter> OpenLog(const Table& table) {
  return std::make_unique<LogWriter>(table.context().files, table.folder(), LogTypes(table),
                                     LogOffsetAt(table, table.LatestSnapshot()));
}

bool RedoLog(const Table& table, const LogWriter& log,
             const std::function<bool(const LogBatch&)>& wanted,
             const std::map<std::string, std::string>& properties) {
  const std::vector<LogBatch>& tail = log.Tail();
  std::vector<idx_t> columns(table.schema().fields.size());
  std::iota(columns.begin(), columns.end(), idx_t(0));
  LogReader reader(table.context().files, table.folder(), LogTypes(table),
                   LogOffsetAt(table, table.LatestSnapshot()));
  bool any = false;
  for (size_t i = 0; i < tail.size();) {
    const LogBatch first = tail[i];
    bool takes = first.rows > 0 && wanted(first);
    std::unique_ptr<TableWriter> writer;
    if (takes) writer = table.NewWriter(first.job);
    for (; i < tail.size() && tail[i].job == first.job; i++) {
      if (!takes && tail[i].rows > 0 && wanted(tail[i])) break;
      if (writer) {
        reader.Read(columns, [&](ChangeChunk& chunk) { writer->Write(chunk); });
      } else {
        reader.Skip();
      }
    }
    if (!writer) continue;
    any = true;
    Committable committable = writer->PrepareCommit();
    committable.log_offsets[0] = tail[i - 1].next_offset;
    committable.properties = properties;
    committable.properties[kUnloggedProperty] = "";
    table.Commit(committable, first.job,
                 first.whole_job ? kBatchCommitIdentifier : kRedoIdentifier);
  }
  return any;
}

}  // namespace millrace
