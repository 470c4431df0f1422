// merge_options.h - the options that say how the rows of one key become one.
//
// merge-engine, sequence.field, fields.<f>.*, ignore-delete, remove-record-on-delete ...: names,
// defaults and contradictions are Paimon's (docs/format.md#merge-engines).
#pragma once

#include "lsm/merge_spec.h"
#include "meta/schema.h"

namespace millrace {

/// Merging as the options of a table with a primary key say. Throws: Error(kInvalid) naming the
/// option and the column.
MergeSpec ParseMergeSpec(const TableSchema& schema, const Options& options);

/// `sequence.field` as columns. Throws: as ParseMergeSpec.
std::vector<idx_t> ParseSequenceFields(const TableSchema& schema, const Options& options);

/// `rowkind.field` as a column. Throws: as ParseMergeSpec.
std::optional<idx_t> ParseRowKindField(const TableSchema& schema, const Options& options);

/// The aggregate function of Paimon's that Millrace has not, as FindUnsupported says it.
std::optional<std::string> FindUnsupportedAggregate(const TableSchema& schema,
                                                    const Options& options);

/// Why a row of this kind (-U or -D) must not get into the table: a later merge could not take it
/// back. nullopt: it may.
std::optional<std::string> WhyNoRetraction(const MergeSpec& spec, const TableSchema& schema,
                                           bool is_delete);

}  // namespace millrace
