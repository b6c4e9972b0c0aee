"""What leaves a study and what comes in: bundles without faces, exports, predictions of other code, a release."""
