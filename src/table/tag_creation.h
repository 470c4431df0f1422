// tag_creation.h - tags that make themselves: after each commit, when a period is over.
//
// `tag.automatic-creation` = process-time goes by when snapshots were committed, watermark by their
// watermarks, batch tags the newest state after each batch commit. (TagAutoCreation.java,
// TagBatchCreation.java)
#pragma once

#include "table/table_state.h"

namespace millrace {

/// Looks at the snapshots since the last automatic tag and tags what is due, at most
/// `tag.num-retained-max` of them staying. Throws: Error(kInvalid) naming an option.
void CreateDueTags(const TableState& table);

/// After a batch commit with `tag.automatic-creation` = batch.
void CreateBatchTag(const TableState& table);

}  // namespace millrace
