/* SPDX-License-Identifier: MIT */
/*
 * replay PATH...: runs a fuzz target over files, and over all files of directories, with any
 * compiler. Exits 1 if there was nothing to run.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

/* The input lies at the end of an exact allocation, so that reading past it is seen. */
static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;

    HOLDS(file != NULL && fstat(fileno(file), &st) == 0);

    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);

    HOLDS(data != NULL && fread(data, 1, size, file) == size);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static unsigned run_directory(const char *path)
{
    DIR *directory = opendir(path);
    unsigned n = 0;

    HOLDS(directory != NULL);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        char file[PATH_MAX];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        run_file(file);
        n++;
    }
    closedir(directory);
    return n;
}

int main(int argc, char **argv)
{
    unsigned n = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;

        HOLDS(stat(argv[i], &st) == 0);
        if (S_ISDIR(st.st_mode)) {
            n += run_directory(argv[i]);
        } else {
            run_file(argv[i]);
            n++;
        }
    }
    printf("%u inputs\n", n);
    return n > 0 ? 0 : 1;
}
