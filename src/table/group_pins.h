// group_pins.h - how long commit groups keep the snapshots that they name.
//
// A reader of several tables of a job may have to go back to the newest complete group: while the
// next one is half committed, and as long as a query may take that has looked at one table already.
// A job that has committed nothing for long pins nothing, unless it was killed within its commits
// and has not been settled; its groups are forgotten once no table has snapshots of it, nor a clock
// that names it, any more. (group_cut.h says how readers choose.)
#pragma once

#include "table/table_state.h"

namespace millrace {

/// The least id of this table that a commit group still needs.
std::optional<int64_t> OldestPinned(const TableState& table);

/// Deletes the groups of jobs that are long gone: old, and passed by the history of every table
/// they name. Failures are not told; the next expiry tries again.
void ForgetPassedGroups(const TableState& table);

}  // namespace millrace
