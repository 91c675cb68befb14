__attribute__((export_name("_start"))) void _start(void)
{
}
