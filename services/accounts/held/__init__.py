"""What this service keeps, class by class (libs.owner): counted, swept, exported, erased."""
