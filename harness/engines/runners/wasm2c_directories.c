/* Listing, making and removing directories. Part of wasm2c_host.c. */

/* Have the listing of a directory stand before an entry; 0, or an error number. */
static u32 list_from(u32 fd, u64 entry)
{
    if (!files[fd].listing) {
        int copy = openat(files[fd].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (copy < 0 || !(files[fd].listing = fdopendir(copy)))
            return wasi_error();
        files[fd].entry = 0;
    }
    if (entry == 0 || entry < files[fd].entry) {
        rewinddir(files[fd].listing);
        files[fd].entry = 0;
    }
    while (files[fd].entry < entry && readdir(files[fd].listing))
        files[fd].entry++;
    return 0;
}

WASI(fd_readdir, u32 fd, u32 to, u32 bytes, u64 cookie, u32 done)
{
    struct {
        u64 next, inode;
        u32 name_bytes, type;
    } head;
    char *place = at(host, to, bytes);
    struct dirent *found;
    u32 told = 0, failed;
    if (host_fd(fd) < 0)
        return BADF;
    if (!place)
        return FAULT;
    if ((failed = list_from(fd, cookie)))
        return failed;
    while (told < bytes) {
        long before = telldir(files[fd].listing);
        if (!(found = readdir(files[fd].listing)))
            break;
        u32 left = bytes - told, name_bytes = strlen(found->d_name), head_bytes = left < sizeof head ? left : sizeof head;
        head.next = files[fd].entry + 1;
        head.inode = strcmp(found->d_name, "..") ? found->d_ino : 0; /* nothing of the directory above */
        head.name_bytes = name_bytes;
        head.type = file_type(DTTOIF(found->d_type));
        memcpy(place + told, &head, head_bytes);
        told += head_bytes;
        left -= head_bytes;
        memcpy(place + told, found->d_name, name_bytes < left ? name_bytes : left);
        told += name_bytes < left ? name_bytes : left;
        if (name_bytes > left) { /* it is asked for again */
            seekdir(files[fd].listing, before);
            break;
        }
        files[fd].entry++;
    }
    return put(host, done, told, 4);
}

static u32 change(HOST host, u32 directory, u32 path, u32 length, int (*how)(int, const char *))
{
    char name[256];
    int parent = walk(directory, at(host, path, length), length, name), failed;
    if (parent < 0)
        return errno == EPERM ? NOTCAPABLE : wasi_error();
    failed = how(parent, name);
    close(parent);
    return failed ? wasi_error() : 0;
}

static int make_directory(int parent, const char *name)
{
    return mkdirat(parent, name, 0700);
}

static int remove_file(int parent, const char *name)
{
    return unlinkat(parent, name, 0);
}

static int remove_directory(int parent, const char *name)
{
    return unlinkat(parent, name, AT_REMOVEDIR);
}

WASI(path_create_directory, u32 directory, u32 path, u32 length)
{
    return change(host, directory, path, length, make_directory);
}

WASI(path_unlink_file, u32 directory, u32 path, u32 length)
{
    return change(host, directory, path, length, remove_file);
}

WASI(path_remove_directory, u32 directory, u32 path, u32 length)
{
    return change(host, directory, path, length, remove_directory);
}
