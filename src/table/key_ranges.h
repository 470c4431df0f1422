// key_ranges.h - where to cut a section of overlapping runs by key, so that several threads can
// merge it.
#pragma once

#include "lsm/levels.h"
#include "table/table_state.h"

namespace millrace {

/// Keys at which ranges of about equal size begin, ascending; none when the section is too small.
/// There are as many ranges as threads, more of them in a section of many split target sizes: each
/// reads some rows of its neighbours along. `folder` is the bucket's.
std::vector<RowBytes> ChooseKeyCuts(const TableState& table, const std::string& folder,
                                    const Section& section, const KeyOrder& order);

}  // namespace millrace
