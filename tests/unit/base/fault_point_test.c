#include "base/fault_point.h"

#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static cst_code pass(csti_fault_point point) {
    return csti_fault_point_pass(point, CST_OK);
}

// Passes the point once in a child, and says how the child fared.
static int status_of_a_child_passing(csti_fault_point point) {
    const pid_t child = fork();
    int status = 0;

    CHECK(child >= 0);
    if (child == 0) {
        (void)pass(point);
        _exit(7);
    }
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    if (WIFSTOPPED(status)) {
        int after = 0;
        CHECK_EQ(kill(child, SIGCONT), 0);
        CHECK_EQ(waitpid(child, &after, 0), child);
        CHECK(WIFEXITED(after)); // stopped, not ended
        CHECK_EQ(WEXITSTATUS(after), 7);
    }
    return status;
}

TEST(a_point_that_is_not_armed_does_nothing) {
    CHECK_OK(csti_fault_points_arm_text("", NULL));
    for (csti_fault_point point = 0; point < CSTI_FAULT_POINTS_COUNT; point++) {
        CHECK_OK(pass(point));
        CHECK_CODE(csti_fault_point_pass(point, CST_SINK), CST_SINK);
    }
}

TEST(fail_gives_io_once_at_the_nth_pass) {
    CHECK_OK(csti_fault_points_arm_text("upload_middle:3:fail", NULL));
    CHECK_OK(pass(CSTI_FAULT_upload_middle));
    CHECK_OK(pass(CSTI_FAULT_upload_before)); // another point's passes do not count
    CHECK_OK(pass(CSTI_FAULT_upload_middle));
    CHECK_CODE(pass(CSTI_FAULT_upload_middle), CST_IO);
    for (int i = 0; i < 5; i++) CHECK_OK(pass(CSTI_FAULT_upload_middle));
}

TEST(several_points_are_armed_at_once) {
    CHECK_OK(csti_fault_points_arm_text("gc_retired:1:fail,meta_trim:2:fail", NULL));
    CHECK_OK(pass(CSTI_FAULT_meta_trim));
    CHECK_CODE(pass(CSTI_FAULT_gc_retired), CST_IO);
    CHECK_CODE(pass(CSTI_FAULT_meta_trim), CST_IO);
    CHECK_OK(csti_fault_points_arm_text("gc_retired:1:fail", NULL)); // forgets the others
    CHECK_OK(csti_fault_points_arm_text("", NULL));
    CHECK_OK(pass(CSTI_FAULT_gc_retired));
}

TEST(kill_ends_the_process_by_sigkill) {
    int status;

    CHECK_OK(csti_fault_points_arm_text("release_part:1:kill", NULL));
    status = status_of_a_child_passing(CSTI_FAULT_release_part);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
    CHECK_OK(csti_fault_points_arm_text("", NULL));
}

TEST(stop_stops_the_process_until_it_is_continued) {
    int status;

    CHECK_OK(csti_fault_points_arm_text("gc_deleting:1:stop", NULL));
    status = status_of_a_child_passing(CSTI_FAULT_gc_deleting);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGSTOP);
    CHECK_OK(csti_fault_points_arm_text("", NULL));
}

TEST(wait_keeps_one_thread_for_a_while) {
    struct timespec begin, end;

    CHECK_OK(csti_fault_points_arm_text("then_taken:2:wait", NULL));
    CHECK_OK(pass(CSTI_FAULT_then_taken));
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &begin), 0);
    CHECK_OK(pass(CSTI_FAULT_then_taken));
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &end), 0);
    CHECK((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 >= 199);
}

TEST(a_word_that_is_wrong_is_refused_by_name_and_nothing_is_armed) {
    static const char *const wrong[] = {
        "uplaod_middle:1:fail",
        "upload_middle",
        "upload_middle:1",
        "upload_middle:0:fail",
        "upload_middle::fail",
        "upload_middle:-1:fail",
        "upload_middle:1x:fail",
        "upload_middle:1:explode",
        "upload_middle:1:",
        "upload_middle:99999999999999999999:fail",
        ",",
        "upload_middle:1:fail:1",
    };

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[160];
        cst_err err = {0};

        (void)snprintf(text, sizeof text, "sink_renamed:1:fail,%s", wrong[i]);
        CHECK_CODE(csti_fault_points_arm_text(text, &err), CST_USAGE);
        if (*wrong[i] != ',') CHECK(strstr(err.text, wrong[i]));
        CHECK_OK(pass(CSTI_FAULT_sink_renamed));
        CHECK_OK(pass(CSTI_FAULT_upload_middle));
    }
}

TEST(trailing_commas_twins_and_endless_words_are_refused) {
    char text[400];

    CHECK_CODE(csti_fault_points_arm_text("sink_renamed:1:fail,", NULL), CST_USAGE);
    CHECK_CODE(csti_fault_points_arm_text("sink_renamed:1:fail,sink_renamed:2:fail", NULL),
               CST_USAGE);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    CHECK_CODE(csti_fault_points_arm_text(text, NULL), CST_USAGE);
    CHECK_OK(pass(CSTI_FAULT_sink_renamed));
}

// setenv in a test of one thread.
TEST(the_environment_arms_only_a_build_with_fault_points) {
    const cst_code wanted = csti_fault_points_compiled() ? CST_OK : CST_UNSUPPORTED;

    CHECK_EQ(unsetenv("CST_FAULT"), 0);
    CHECK_OK(csti_fault_points_arm(NULL));
    CHECK_EQ(setenv("CST_FAULT", "file_linked:1:fail", 1), 0);
    CHECK_CODE(csti_fault_points_arm(NULL), wanted);
    CHECK_EQ(CSTI_FAULT_FAILS(file_linked), csti_fault_points_compiled());
    CHECK(!CSTI_FAULT_FAILS(file_linked));
    CSTI_FAULT_POINT(file_linked);
    CHECK_EQ(unsetenv("CST_FAULT"), 0);
}

enum { THREADS_COUNT = 4, PASSES_EACH = 20000 };

static void *pass_often(void *context) {
    _Atomic int *failed_count = context;

    for (int i = 0; i < PASSES_EACH; i++)
        if (pass(CSTI_FAULT_fold_leased) == CST_IO) (void)atomic_fetch_add(failed_count, 1);
    return NULL;
}

static int failures_over_all_threads(const char *text) {
    static _Atomic int failed_count;
    pthread_t threads[THREADS_COUNT];

    atomic_store(&failed_count, 0);
    CHECK_OK(csti_fault_points_arm_text(text, NULL));
    for (int i = 0; i < THREADS_COUNT; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, pass_often, &failed_count), 0);
    for (int i = 0; i < THREADS_COUNT; i++) CHECK_EQ(pthread_join(threads[i], NULL), 0);
    return atomic_load(&failed_count);
}

TEST(passes_are_counted_over_all_threads) {
    CHECK_EQ(failures_over_all_threads("fold_leased:80000:fail"), 1); // the very last pass
    CHECK_EQ(failures_over_all_threads("fold_leased:80001:fail"), 0);
    CHECK_CODE(pass(CSTI_FAULT_fold_leased), CST_IO);
    CHECK_EQ(failures_over_all_threads("fold_leased:2:fail"), 1);
}

TEST(every_point_has_its_own_name) {
    for (csti_fault_point a = 0; a < CSTI_FAULT_POINTS_COUNT; a++)
        for (csti_fault_point b = 0; b < a; b++)
            CHECK(strcmp(csti_fault_point_name(a), csti_fault_point_name(b)) != 0);
    CHECK_TEXT(csti_fault_point_name(CSTI_FAULT_commit_after_manifest), "commit_after_manifest");
}

TEST_MAIN
