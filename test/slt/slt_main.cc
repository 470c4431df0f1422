// slt_main.cc - the program slt_runner: runs .slt files and folders of them.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <iostream>
#include <thread>

#include "app/connectors.h"
#include "base/error.h"
#include "slt_runner.h"

namespace {

constexpr auto kPatience = std::chrono::seconds(90);

// Ends the process when one record takes too long, and says which: a hang must have a line.
class Watchdog {
 public:
  explicit Watchdog(const millrace::SltRunner& runner)
      : thread_([this, &runner] { Watch(runner); }) {}
  ~Watchdog() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

 private:
  void Watch(const millrace::SltRunner& runner) {
    std::string before;
    auto since = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    while (!stop_) {
      wake_.wait_for(lock, std::chrono::milliseconds(500));
      std::string now = runner.Where();
      if (now != before) since = std::chrono::steady_clock::now();
      before = now;
      if (std::chrono::steady_clock::now() - since < kPatience) continue;
      std::cout << now << ": no end after " << kPatience.count() << " s" << std::endl;
      _exit(3);
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

std::vector<std::string> FilesOf(const std::string& path) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  if (!fs::is_directory(path)) return {path};
  for (auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.path().extension() == ".slt") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  using namespace millrace;
  setenv("TZ", "UTC", 1);  // What is printed must not depend on where the tests run.
  SltOptions options;
  bool verbose = false;
  std::vector<std::string> files;
  for (int i = 1; i < argc; i++) {
    std::string argument = argv[i];
    if (argument == "--data" && i + 1 < argc) {
      options.data_folder = fs::absolute(argv[++i]).string();
    } else if (argument == "--set" && i + 1 < argc) {
      options.settings.push_back(std::string("SET ") + argv[++i]);
    } else if (argument == "-v") {
      verbose = true;
    } else if (argument[0] == '-') {
      std::cout << "slt_runner [-v] [--data FOLDER] [--set \"'KEY' = 'VALUE'\"] FILE|FOLDER ...\n";
      return argument == "--help" ? 0 : 2;
    } else {
      for (auto& file : FilesOf(argument)) files.push_back(file);
    }
  }
  options.scratch_folder =
      (fs::temp_directory_path() / ("millrace-slt-" + std::to_string(getpid()))).string();
  options.make_session = MakeSession;
  options.register_connectors = RegisterConnectors;
  int failed = 0, skipped = 0, checks = 0;
  for (const std::string& file : files) {
    auto start = std::chrono::steady_clock::now();
    SltRunner runner(file, options);
    Watchdog watchdog(runner);
    SltOutcome outcome = runner.Run();
    checks += outcome.checks;
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                  std::chrono::steady_clock::now() - start)
                  .count();
    if (!outcome.failure.empty()) {
      failed++;
      std::cout << "FAILED " << outcome.failure << "\n" << std::flush;
    } else if (!outcome.skipped.empty()) {
      skipped++;
      std::cout << "skipped " << file << ": " << outcome.skipped << "\n";
    } else if (verbose) {
      std::cout << "ok " << file << " (" << outcome.checks << " checks, " << ms << " ms)\n";
    }
  }
  std::error_code ignored;
  fs::remove_all(options.scratch_folder, ignored);
  std::cout << files.size() << " file(s), " << checks << " checks, " << failed << " failed, "
            << skipped << " skipped\n";
  return failed || files.empty() ? 1 : 0;
}
