// maintenance.cc - statements that look after lake tables: VERIFY TABLE.
#include "base/error.h"
#include "session/sql_session.h"
#include "stream/lake_source.h"
#include "table/scan_start.h"
#include "table/verify.h"

namespace millrace {

std::shared_ptr<const Table> SqlSession::NeedLakeTable(const QualifiedName& name,
                                                       const std::string& doing) {
  ObjectPath path = Resolve(name);
  std::shared_ptr<const TableDefinition> definition = NeedTable(path);
  if (!definition->Connector().empty()) {
    Throw(ErrorCode::kInvalid, "{} '{}': it is a table of connector '{}', not of a lake catalog",
          doing, path.ToString(), definition->Connector());
  }
  TableDefinition at_newest = *definition;
  at_newest.options = WithoutScanOptions(std::move(at_newest.options));
  return OpenLakeTable(engine_.table_context(), at_newest);
}

StatementResult SqlSession::Run(const Verify& statement) {
  std::shared_ptr<const Table> table = NeedLakeTable(statement.name, "Verifying");
  std::vector<std::vector<std::string>> rows;
  for (const Finding& finding : VerifyTable(table->state(), statement.full)) {
    rows.push_back({SeverityName(finding.severity), finding.file, finding.problem});
  }
  StatementResult result;
  result.kind = ResultKind::kRows;
  result.rows = MakeTextResult({"severity", "file", "problem"}, rows);
  return result;
}

}  // namespace millrace
