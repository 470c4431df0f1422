// create_like.h - CREATE TABLE .. LIKE.
#pragma once

#include "sql/dml_statement.h"

namespace millrace {

/// Adds to `definition` what `rules` take over from `like` (MergeTableLikeUtil.java).
/// Throws: Error(kInvalid) when both say something that may be said once.
void TakeAfter(TableDefinition& definition, const TableDefinition& like, const LikeRules& rules);

}  // namespace millrace
