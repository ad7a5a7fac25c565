/* measure.c -- runs a program and says what it cost.
 *
 *     measure STDOUT_FILE PROGRAM [ARGUMENT...]
 *
 * Prints: EXIT_STATUS USER_S SYSTEM_S WALL_S PEAK_RSS_KB, of the program and of
 * every process it waited for. It is small because a child's peak memory starts
 * with that of the process it was forked from. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void run_child(const char *output, char **command)
{
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
        perror(output);
        _exit(127);
    }
    close(fd);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int argc, char **argv)
{
    struct timespec start, end;
    struct rusage usage;
    int status;
    if (argc < 3) {
        fputs("usage: measure STDOUT_FILE PROGRAM [ARGUMENT...]\n", stderr);
        return 2;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t child = fork();
    if (child == 0) run_child(argv[1], argv + 2);
    if (child < 0 || wait4(child, &status, 0, &usage) < 0) {
        perror("measure");
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double wall_s = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
    printf("%d %.6f %.6f %.6f %ld\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
           seconds(usage.ru_utime), seconds(usage.ru_stime), wall_s, usage.ru_maxrss);
    return 0;
}
