"""DCMTK's log configuration at work: loggers, filters, layouts, appenders, as in 3.6.7."""
