// duckdb_files_main.cc - SELECTs of DuckDB's own SQL tests, kept up to date and compared with
// batch.
//
// duckdb_files [--seed 1] [--seconds 60] [--jobs 1] [--out FILE] FILE|FOLDER ...
//
// --seconds: of CPU time a file.
//
// Each .test file runs in a process of its own: its statements make tables, and each query runs as
// a continuous one over their rows, which come, change and go in random steps. One line a query
// goes to --out: file, line, outcome, reason, SQL, separated by tabs. coverage.py makes a table of
// it.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "continuous_file.h"

namespace millrace {
namespace {

struct Settings {
  uint64_t seed = 1;
  int seconds = 60;
  int jobs = 1;
  std::string out = "duckdb_files.tsv";
  std::vector<std::string> files;
};

struct Job {
  std::string file;
  std::string part;        // What its process writes.
  std::set<int> left_out;  // Lines at which a process before it ended.
  pid_t process = -1;
  std::chrono::steady_clock::time_point since;
};

void Collect(const std::string& path, std::vector<std::string>& files) {
  std::filesystem::path start = std::filesystem::absolute(path);
  if (!std::filesystem::is_directory(start)) return files.push_back(start);
  std::vector<std::string> found;
  for (auto& entry : std::filesystem::recursive_directory_iterator(start)) {
    if (entry.path().extension() == ".test") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  files.insert(files.end(), found.begin(), found.end());
}

constexpr const char* kFolderPrefix = "duckdb_files_";

/// Where the process of a file runs: their COPY .. TO and the like write there.
std::filesystem::path FolderOf(pid_t process) {
  return std::filesystem::temp_directory_path() / fmt::format("{}{}", kFolderPrefix, process);
}

double CpuSeconds(pid_t process) {
  clockid_t clock;
  timespec spent{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &spent) != 0) return 0;
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

/// Removes the folders of processes that are no more.
void RemoveLeftovers() {
  std::error_code ignored;
  for (auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path())) {
    std::string name = entry.path().filename();
    if (name.rfind(kFolderPrefix, 0) != 0) continue;
    pid_t process = std::atoi(name.c_str() + std::strlen(kFolderPrefix));
    bool alive = process > 0 && (kill(process, 0) == 0 || errno != ESRCH);
    if (process > 0 && !alive) std::filesystem::remove_all(entry.path(), ignored);
  }
}

void Begin(Job& job, const Settings& settings) {
  job.since = std::chrono::steady_clock::now();
  job.process = fork();
  if (job.process != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int silence = open("/dev/null", O_WRONLY);
  dup2(silence, 2);
  std::ofstream out(job.part);
  auto folder = FolderOf(getpid());
  std::filesystem::create_directories(folder);
  std::filesystem::current_path(folder);
  RunContinuousFile(job.file, settings.seed, job.left_out, out);
  out.close();
  std::filesystem::remove_all(folder);
  _exit(0);
}

/// The line of the query that was running, 0 if none was; finished ones go to `out`.
int Take(const Job& job, std::ofstream* out) {
  std::ifstream part(job.part);
  std::string line;
  int running = 0;
  while (std::getline(part, line)) {
    if (line.rfind("RUN\t", 0) == 0) {
      running = std::atoi(line.c_str() + 4);
    } else {
      running = 0;
      if (out) *out << line << "\n";
    }
  }
  return running;
}

class Runner {
 public:
  explicit Runner(Settings settings) : settings_(std::move(settings)), out_(settings_.out) {}

  int Run() {
    size_t next = 0;
    while (next < settings_.files.size() || !jobs_.empty()) {
      while (jobs_.size() < static_cast<size_t>(settings_.jobs) && next < settings_.files.size()) {
        Job job;
        job.file = settings_.files[next];
        job.part = settings_.out + fmt::format(".{}", next++);
        Begin(job, settings_);
        jobs_.push_back(std::move(job));
      }
      for (size_t i = 0; i < jobs_.size();) {
        if (Finished(jobs_[i])) {
          jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(i));
        } else {
          i++;
        }
      }
      usleep(2000);
    }
    return 0;
  }

 private:
  /// True when the job is done with its file.
  bool Finished(Job& job) {
    int status = 0;
    auto spent = std::chrono::steady_clock::now() - job.since;
    // By its CPU time, so that neighbours on the machine do not count; who only waits hangs.
    bool late = CpuSeconds(job.process) > settings_.seconds ||
                spent > std::chrono::seconds(10 * settings_.seconds);
    if (late) kill(job.process, SIGKILL);
    if (waitpid(job.process, &status, late ? 0 : WNOHANG) != job.process) return false;
    std::error_code ignored;
    std::filesystem::remove_all(FolderOf(job.process), ignored);
    bool whole = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    int at = whole ? 0 : Take(job, nullptr);
    if (at && job.left_out.size() < 5) {
      // The others of the file, without it.
      out_ << fmt::format("{}\t{}\t{}\t\t\n", job.file, at, late ? "timeout" : "crash");
      job.left_out.insert(at);
      Begin(job, settings_);
      return false;
    }
    Take(job, &out_);
    if (!whole && !at) out_ << fmt::format("{}\t0\tfile\tends without a query\t\n", job.file);
    out_.flush();
    std::filesystem::remove(job.part);
    return true;
  }

  Settings settings_;
  std::ofstream out_;
  std::vector<Job> jobs_;
};

int Main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; i++) {
    std::string argument = argv[i];
    auto value = [&]() -> std::string { return i + 1 < argc ? argv[++i] : ""; };
    if (argument == "--seed") {
      settings.seed = std::strtoull(value().c_str(), nullptr, 10);
    } else if (argument == "--seconds") {
      settings.seconds = std::atoi(value().c_str());
    } else if (argument == "--jobs") {
      settings.jobs = std::atoi(value().c_str());
    } else if (argument == "--out") {
      settings.out = value();
    } else {
      Collect(argument, settings.files);
    }
  }
  if (settings.files.empty()) {
    std::printf("skipped: no .test files; name a folder of DuckDB's tests\n");
    return 77;
  }
  RemoveLeftovers();
  return Runner(std::move(settings)).Run();
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  return millrace::Main(argc, argv);
}
