// local_file_system.h - the disks of this machine, with a hook through which tests fail system
// calls.
#pragma once

#include "io/file_system.h"

namespace millrace {

/// Asked before each system call that matters for durability ("open", "write", "fsync", "link",
/// "unlink", "rename", "mkdir" ...) with its name and path; true makes that call fail with EIO.
using SystemCallFault = std::function<bool(std::string_view call, const std::string& path)>;

std::unique_ptr<FileSystem> MakeLocalFileSystem(SystemCallFault fault);

}  // namespace millrace
