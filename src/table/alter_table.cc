#include "table/alter_table.h"

#include "base/error.h"
#include "table/schema_store.h"
#include "table/snapshot_store.h"
#include "table/table_options.h"

namespace millrace {

namespace {

void CheckStillSupported(const TableSchema& before, const TableSchema& after,
                         const std::string& table) {
  if (FindUnsupported(before, before.options)) return;  // Others use it: let it be altered.
  if (auto reason = FindUnsupported(after, after.options)) {
    Throw(ErrorCode::kUnsupported, "Altering table '{}': {}.", table, *reason);
  }
  (void)ParseTableOptions(after, after.options);
}

bool SameContent(const TableSchema& a, const TableSchema& b) {
  TableSchema copy = b;
  copy.id = a.id;
  copy.time_ms = a.time_ms;
  return a == copy;
}

}  // namespace

std::shared_ptr<const TableSchema> AlterTableSchema(
    TableContext context, const std::string& folder, const std::string& table,
    const ChangesForSchema& changes, const std::function<void(const TableSchema&)>& check) {
  SchemaStore schemas(context.files, folder);
  SnapshotStore snapshots(context.files, folder);
  for (;;) {
    std::shared_ptr<const TableSchema> latest = schemas.Latest();
    if (!latest) {
      Throw(ErrorCode::kNotFound, "Altering table '{}': there is no schema file in {}/schema.",
            table, folder);
    }
    SchemaChangeContext change_context;
    change_context.table = table;
    change_context.has_data = snapshots.LatestId().has_value();
    change_context.time_ms = context.clock.NowMs();
    TableSchema next = ApplySchemaChanges(*latest, changes(*latest), change_context);
    if (SameContent(*latest, next)) return latest;
    CheckStillSupported(*latest, next, table);
    if (check) check(next);
    if (schemas.Publish(next)) return schemas.Get(next.id);
  }
}

}  // namespace millrace
