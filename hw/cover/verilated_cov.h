// verilated_cov.h: which lines and points of a model were reached, for scripts/rtl-coverage.
//
// Models that count (hw/CMakeLists.txt) find this in the place of Verilator's own header. That one
// has a counter a point in each instance of a model, to be asked for while it lives; here there is one
// a point in the program (hw/verilate makes it a byte that is set), so that nobody has to ask.
//
// Promises   a program that ran with CST_COVER=FOLDER leaves there a file, named by the program and the
//            library that this is in, a line for each part of its models, tabs between:
//              file, line, column, "line", which branch, its lines, 1 if it was reached, else 0
//              file, line, column, "point", where in the model, its lines, 1 or 0
// Thread     points are told when a model is made, one at a time; they are set by any thread.
#ifndef CST_VERILATED_COV_H
#define CST_VERILATED_COV_H

#include <dlfcn.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>

class CstPoints {
  public:
    static CstPoints &get() {
        static CstPoints points;
        return points;
    }

    bool wants(const uint8_t *reached) {
        if (folder_.empty()) return false;
        const std::lock_guard<std::mutex> lock(mutex_);
        return known_.insert(reached).second;
    }

    // The words as Verilator has them: a key, its value, and so on; lines may be left out.
    void add(const uint8_t *reached, const char *, const std::string &file, const char *, int line,
             const char *, int column, const char *, const std::string &place, const char *,
             const std::string &page, const char *, const std::string &name, const char *,
             const std::string &lines) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const bool point = page.compare(0, 6, "v_user") == 0;
        points_.emplace(file + '\t' + std::to_string(line) + '\t' + std::to_string(column) + '\t' +
                            (point ? "point" : "line") + '\t' + (point ? place : name) + '\t' +
                            lines + '\t',
                        reached);
    }

  private:
    CstPoints() {
        const char *folder = getenv("CST_COVER");
        if (folder) folder_ = folder;
    }

    ~CstPoints() {
        if (folder_.empty()) return;
        Dl_info own = {};
        const char *library = dladdr(&own_, &own) && own.dli_fname ? own.dli_fname : "";
        const char *slash = strrchr(library, '/');
        const std::string path = folder_ + "/" + program_invocation_short_name + "+" +
                                 (slash ? slash + 1 : library) + ".points";
        std::map<std::string, bool> lines;
        for (const auto &point : points_) lines[point.first] |= *point.second != 0;
        // A library that is loaded again goes on.
        const std::string again = std::string("CST_COVER_") + (slash ? slash + 1 : library);
        FILE *out = fopen(path.c_str(), getenv(again.c_str()) ? "a" : "w");
        (void)setenv(again.c_str(), "1", 1);
        if (!out) {
            fprintf(stderr, "%s: the points reached cannot be written\n", path.c_str());
            return;
        }
        for (const auto &line : lines) fprintf(out, "%s%d\n", line.first.c_str(), line.second);
        fclose(out);
    }

    inline static char own_;
    std::mutex mutex_;
    std::string folder_;
    std::set<const uint8_t *> known_;
    std::multimap<std::string, const uint8_t *> points_;
};

#define VL_COVER_INSERT(context, reached, ...)                                                     \
    do {                                                                                           \
        if (CstPoints::get().wants(reached)) CstPoints::get().add(reached, __VA_ARGS__);           \
    } while (false)

#endif
