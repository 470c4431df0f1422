#include "table/table_state.h"

#include "base/error.h"
#include "meta/binary_row.h"

namespace millrace {

std::string TableState::BucketFolder(const RowBytes& partition, int bucket) const {
  return JoinPath(folder, PartitionPath(schema, partition) + "bucket-" + std::to_string(bucket));
}

KeyValueLayout TableState::Layout() const {
  KeyValueLayout layout;
  layout.schema_id = schema.id;
  layout.fields = schema.fields;
  if (HasPrimaryKey()) layout.key = schema.TrimmedPrimaryKey();
  layout.sequence_fields = parsed.sequence_fields;
  layout.sequence_descending = parsed.sequence_descending;
  return layout;
}

void TableState::CheckSupported(const char* doing) const {
  if (unsupported)
    Throw(ErrorCode::kUnsupported, "Cannot {} table {}: {}.", doing, folder, *unsupported);
}

void TableState::CheckWritable(const char* doing) const {
  CheckSupported(doing);
  if (unwritable)
    Throw(ErrorCode::kUnsupported, "Cannot {} table {}: {}.", doing, folder, *unwritable);
}

std::string BucketName(const RowBytes& partition, int bucket) {
  return partition + "/" + std::to_string(bucket);
}

}  // namespace millrace
