__attribute__((export_name("_start"))) void start(void)
{
}
