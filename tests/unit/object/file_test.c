#define _GNU_SOURCE 1 // nftw, unshare, F_OFD_SETLK
#include "unit/object/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { NOBODY = 65534, CHUNK_BYTES = 64 << 10 };

// ---- Open ---------------------------------------------------------------------------------------

static cst_code open_code(const char *uri, cst_err *err) {
    cst_object_store *store = NULL;
    const cst_code code = cst_object_store_open(uri, NULL, &store, err);

    if (code == CST_OK) CHECK_TEXT(cst_object_store_uri(store), uri);
    cst_object_store_close(store);
    return code;
}

TEST(a_folder_is_made_if_its_parent_is_there) {
    const test_folder folder = folder_make();
    cst_err err = {0};
    char uri[300];

    (void)snprintf(uri, sizeof uri, "file:%s/new", folder.path);
    CHECK_OK(open_code(uri, &err));
    CHECK_OK(open_code(uri, &err));
    (void)snprintf(uri, sizeof uri, "file:%s/no/new", folder.path);
    CHECK_CODE(open_code(uri, &err), CST_NOT_FOUND);
    CHECK(strstr(err.text, folder.path));
    folder_remove(&folder);
}

TEST(a_malformed_place_is_refused) {
    const test_folder folder = folder_make();
    cst_err err = {0};
    char path[300];
    char uri[310];
    FILE *file;

    CHECK_CODE(open_code("file:", &err), CST_OBJECT_NAME);
    CHECK_CODE(open_code("", &err), CST_OBJECT_NAME);
    CHECK_CODE(open_code("files:x", &err), CST_OBJECT_NAME);
    CHECK_CODE(open_code("ftp://x", &err), CST_OBJECT_NAME);
    CHECK(strstr(err.text, "file:DIR"));
    (void)snprintf(path, sizeof path, "%s/file", folder.path);
    file = fopen(path, "w");
    CHECK(file && fclose(file) == 0);
    (void)snprintf(uri, sizeof uri, "file:%s", path);
    CHECK_CODE(open_code(uri, &err), CST_OBJECT_NAME);
    (void)snprintf(uri, sizeof uri, "file:%s/in", path);
    CHECK_CODE(open_code(uri, &err), CST_OBJECT_NAME);
    folder_remove(&folder);
}

TEST(an_object_is_a_file_of_the_same_name_and_bytes) {
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);
    char path[300];
    char text[16] = {0};
    FILE *file;

    CHECK_OK(put_text(store, "a/b.json", "{}", CST_PUT_IF_ABSENT, NULL, NULL));
    (void)snprintf(path, sizeof path, "%s/store/a/b.json", folder.path);
    file = fopen(path, "r");
    CHECK(file);
    CHECK_EQ(fread(text, 1, sizeof text, file), 2);
    CHECK_TEXT(text, "{}");
    (void)fclose(file);
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST(files_that_are_no_objects_are_not_seen) {
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);
    static const char *const files[] = {"a b", ".hidden", "x~", "d/.y"};
    char path[300];

    (void)snprintf(path, sizeof path, "%s/store/lost+found", folder.path);
    CHECK_EQ(mkdir(path, 0777), 0);
    CHECK_OK(put_text(store, "d/object", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        FILE *file;

        (void)snprintf(path, sizeof path, "%s/store/%s", folder.path, files[i]);
        file = fopen(path, "w");
        CHECK(file && fclose(file) == 0);
    }
    CHECK_EQ(objects_count(store), 1);
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST(folders_go_with_their_last_object) {
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);
    char path[300];

    CHECK_OK(put_text(store, "a/b/c", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(put_text(store, "a/d", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(cst_object_delete(store, "a/b/c", NULL));
    (void)snprintf(path, sizeof path, "%s/store/a/b", folder.path);
    CHECK_EQ(access(path, F_OK), -1);
    CHECK_OK(cst_object_delete(store, "a/d", NULL));
    (void)snprintf(path, sizeof path, "%s/store/a", folder.path);
    CHECK_EQ(access(path, F_OK), -1);
    cst_object_store_close(store);
    folder_remove(&folder);
}

// ---- Locks --------------------------------------------------------------------------------------

TEST(a_lock_that_is_held_ends_in_a_deadline_for_match_and_delete_alone) {
    const cst_object_store_options hasty = {.deadline_us = 20000};
    const test_folder folder = folder_make();
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    cst_object_store *store = folder_store(&folder);
    cst_object_info info;
    char path[300];
    int holder;

    CHECK_OK(put_text(store, "a", "old", CST_PUT_IF_ABSENT, NULL, &info));
    (void)snprintf(path, sizeof path, "%s/store/.lock", folder.path);
    holder = open(path, O_RDWR | O_CREAT, 0666);
    CHECK(holder >= 0);
    CHECK_EQ(fcntl(holder, F_OFD_SETLK, &lock), 0);
    cst_object_store_close(store);
    (void)snprintf(path, sizeof path, "file:%s/store", folder.path);
    CHECK_OK(cst_object_store_open(path, &hasty, &store, NULL));

    CHECK_CODE(put_text(store, "a", "new", CST_PUT_IF_MATCH, info.etag, NULL), CST_DEADLINE);
    CHECK_CODE(cst_object_delete(store, "a", NULL), CST_DEADLINE);
    CHECK_OBJECT(store, "a", "old");
    CHECK_OK(put_text(store, "b", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    CHECK_OK(put_text(store, "c", "x", CST_PUT_REPLACE, NULL, NULL));
    CHECK_EQ(objects_count(store), 3);
    CHECK_EQ(temporaries_count(&folder), 0);

    CHECK_EQ(close(holder), 0);
    CHECK_OK(put_text(store, "a", "new", CST_PUT_IF_MATCH, info.etag, NULL));
    cst_object_store_close(store);
    folder_remove(&folder);
}

TEST(a_sweep_takes_what_the_dead_left_and_lets_the_living_be) {
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);
    cst_object_upload *upload = NULL;
    uint64_t swept = 0;
    int status;
    pid_t child;

    CHECK_OK(cst_object_upload_open(store, "mine", 0, &upload, NULL));
    CHECK_OK(cst_object_upload_write(upload, "mine", 4, NULL));
    child = fork();
    if (child == 0) {
        cst_object_upload *left = NULL;

        if (cst_object_upload_open(store, "its", 0, &left, NULL) != CST_OK) _exit(1);
        (void)kill(getpid(), SIGKILL);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(temporaries_count(&folder), 2);
    CHECK_OK(cst_object_sweep_uploads(store, &swept, NULL));
    CHECK_EQ(swept, 1);
    CHECK_OK(cst_object_upload_finish(upload, NULL, NULL));
    CHECK_OBJECT(store, "mine", "mine");
    cst_object_store_close(store);
    folder_remove(&folder);
}

// ---- Disks that refuse --------------------------------------------------------------------------

// Runs `body` in a process of its own, whose rights and limits may be taken away.
static void in_child(void (*body)(const test_folder *), const test_folder *folder) {
    const pid_t child = fork();
    int status;

    CHECK(child >= 0);
    if (child == 0) {
        body(folder);
        exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

// Uploads until the store says no.
static cst_code fill(cst_object_store *store, cst_err *err) {
    static const char chunk[CHUNK_BYTES];
    cst_object_upload *upload = NULL;
    cst_code code = cst_object_upload_open(store, "much", 0, &upload, err);

    for (int i = 0; i < 1000 && code == CST_OK; i++)
        code = cst_object_upload_write(upload, chunk, sizeof chunk, err);
    CHECK(code != CST_OK);
    cst_object_upload_abort(upload);
    return code;
}

static void with_small_files(const test_folder *folder) {
    const struct rlimit limit = {1 << 20, 1 << 20};
    cst_object_store *store = folder_store(folder);
    cst_err err = {0};

    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_CODE(fill(store, &err), CST_IO);
    CHECK(strstr(err.text, "limit on file sizes"));
    CHECK_EQ(temporaries_count(folder), 0);
    CHECK_EQ(objects_count(store), 0);
    CHECK_OK(put_text(store, "small", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    cst_object_store_close(store);
}

TEST(a_file_that_may_not_grow_is_an_error_that_says_so) {
    const test_folder folder = folder_make();

    in_child(with_small_files, &folder);
    folder_remove(&folder);
}

// A disk of 1 MiB, where this machine lets a test mount one. What the store does with ENOSPC at
// each of its calls is in file_errors_test.c, everywhere.
static void with_small_disk(const test_folder *folder) {
    cst_object_store *store;
    cst_err err = {0};

    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWNS | CLONE_NEWUSER) != 0) return;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return;
    if (mount("tmpfs", folder->path, "tmpfs", 0, "size=1m") != 0) return;
    store = folder_store(folder);
    for (int round = 0; round < 3; round++) { // what was freed can be used
        CHECK_CODE(fill(store, &err), CST_IO);
        CHECK(strstr(err.text, "Free disk space"));
        CHECK_EQ(temporaries_count(folder), 0);
        CHECK_EQ(objects_count(store), 0);
    }
    CHECK_OK(put_text(store, "small", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    cst_object_store_close(store);

    CHECK_EQ(mount(NULL, folder->path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    store = folder_store(folder);
    CHECK_CODE(put_text(store, "other", "x", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_DENIED);
    CHECK_CODE(put_text(store, "small", "y", CST_PUT_REPLACE, NULL, NULL), CST_OBJECT_DENIED);
    CHECK_CODE(cst_object_delete(store, "small", &err), CST_OBJECT_DENIED);
    CHECK(strstr(err.text, "writable"));
    CHECK_OBJECT(store, "small", "x");
    cst_object_store_close(store);
}

TEST(a_full_disk_leaves_nothing_and_a_read_only_one_is_denied) {
    const test_folder folder = folder_make();

    in_child(with_small_disk, &folder);
    folder_remove(&folder);
}

static void without_rights(const test_folder *folder) {
    cst_object_store *store;
    cst_err err = {0};

    if (geteuid() == 0) {
        CHECK_EQ(setgid(NOBODY), 0);
        CHECK_EQ(setuid(NOBODY), 0);
    }
    store = folder_store(folder);
    CHECK_CODE(put_text(store, "other", "x", CST_PUT_IF_ABSENT, NULL, NULL), CST_OBJECT_DENIED);
    CHECK_CODE(cst_object_delete(store, "there", &err), CST_OBJECT_DENIED);
    CHECK(strstr(err.text, "right"));
    CHECK_OBJECT(store, "there", "x");
    CHECK_EQ(objects_count(store), 1);
    CHECK_OK(cst_object_sweep_uploads(store, NULL, NULL));
    cst_object_store_close(store);
}

TEST(a_folder_without_rights_is_read_and_not_written) {
    const test_folder folder = folder_make();
    cst_object_store *store = folder_store(&folder);
    char path[300];

    CHECK_OK(put_text(store, "there", "x", CST_PUT_IF_ABSENT, NULL, NULL));
    cst_object_store_close(store);
    (void)snprintf(path, sizeof path, "%s/store", folder.path);
    CHECK_EQ(chmod(folder.path, 0755), 0);
    CHECK_EQ(chmod(path, 0555), 0);
    in_child(without_rights, &folder);
    CHECK_EQ(chmod(path, 0755), 0);
    folder_remove(&folder);
}

TEST_MAIN
