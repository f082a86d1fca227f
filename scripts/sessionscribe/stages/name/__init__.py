"""Who is who: names for speakers, by a table, by track or by voice."""
