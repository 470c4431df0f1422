// job_settlement.h - what a job that does not run still owes to the readers of its tables.
//
// Killed between the commits of one checkpoint, a job leaves some of its tables with it and others
// without, and their readers wait. Everything that is needed to finish lies in the job's folder,
// whatever became of its statement. Docs: docs/internals/jobs.md.
#pragma once

#include "stream/checkpoint.h"
#include "table/table.h"

namespace millrace {

enum class Settlement : uint8_t {
  kPause,    // The job may go on later: what cannot be committed is left to it.
  kForGood,  // The job goes: what cannot be committed is given up, so that no reader waits for it.
};

/// Commits to lake tables what the newest checkpoint has prepared and publishes its commit group.
/// Tables that were dropped, or made anew since, are left out. Idempotent.
/// REQUIRES: the folder is locked. Throws: Error(kIo, kCorrupt) naming the file.
void SettleJob(TableContext context, const JobFolder& folder, const JobRecord& record,
               Settlement settlement);

}  // namespace millrace
